import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CharactersTokenEstimator from "../../src/layers/CharactersTokenEstimator.ts"
import { TokenEstimator } from "../../src/services/TokenEstimator.ts"
import * as TokenEstimatorContract from "../contracts/TokenEstimator.ts"

TokenEstimatorContract.suite("CharactersTokenEstimator", CharactersTokenEstimator.layer())

it.effect("CharactersTokenEstimator takes four bytes for a token", () =>
  Effect.gen(function* () {
    const { estimate } = yield* TokenEstimator
    assert.deepStrictEqual([0, 4, 5, 30_000].map((bytes) => estimate("m", bytes)), [1, 1, 2, 7500])
    assert.throws(() => CharactersTokenEstimator.layer({ bytesPerToken: 0 }), RangeError)
  }).pipe(Effect.provide(CharactersTokenEstimator.layer())))
