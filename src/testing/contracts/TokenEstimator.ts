/**
 * What every `TokenEstimator` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"

/** @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<TokenEstimator, unknown>): ReadonlyArray<Check> => [
  check("estimates whole tokens, at least one, and never fewer for more text", () =>
    Effect.gen(function* () {
      const estimator = yield* TokenEstimator
      estimator.learn("m", 400, 100)
      let before = 0
      for (const bytes of [0, 1, 4, 5, 1000, 30_000, 64 * 1024 * 1024]) {
        const tokens = estimator.estimate("m", bytes)
        assert.isTrue(Number.isInteger(tokens) && tokens >= 1 && tokens >= before, `${bytes} bytes, ${tokens} tokens`)
        before = tokens
      }
    }).pipe(Effect.provide(layer))),
]
