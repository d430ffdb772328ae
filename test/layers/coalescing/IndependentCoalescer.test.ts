import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as IndependentCoalescer from "../../../src/layers/coalescing/IndependentCoalescer.ts"
import { answering, contract, joining, same } from "../../../src/testing/contracts/Coalescer.ts"
import { holds } from "../../support/checks.ts"

holds("Coalescer contract: independent", contract(IndependentCoalescer.layer))

it.effect("shares nothing: the same request twice makes two upstream calls", () =>
  Effect.gen(function* () {
    let led = 0
    const lead = (...[demand, reply]: Parameters<ReturnType<typeof answering>>) => {
      led++
      return answering("answer")(demand, reply)
    }
    yield* Effect.all([joining(same(), lead), joining(same(), lead)], { concurrency: 2 })
    assert.strictEqual(led, 2)
  }).pipe(Effect.provide(IndependentCoalescer.layer)))
