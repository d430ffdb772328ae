/**
 * Calls that have not ended yet, so that a check that hangs can say what it waits for.
 *
 * @since 0.1.0
 */
import { Context, Effect, type Fiber } from "effect"
import * as assert from "./assert.ts"

/** The calls of one check that have not ended. */
export class OutstandingCalls {
  private readonly names = new Map<object, string>()
  /** Histories that a property has begun. */
  histories = 0

  /** Forgets the calls of the history before. */
  nextHistory(): void {
    this.histories++
    this.names.clear()
  }

  begin(name: string): object {
    const call = {}
    this.names.set(call, name)
    return call
  }

  end(call: object): void {
    this.names.delete(call)
  }

  list(): ReadonlyArray<string> {
    return [...this.names.values()]
  }
}

/** Each check has its own. */
export const Outstanding: Context.Reference<OutstandingCalls> = Context.Reference<OutstandingCalls>(
  "llamero/testing/Outstanding",
  { defaultValue: () => new OutstandingCalls() },
)

/**
 * Runs `effect` as a call that has to end. A check that misses its deadline names the calls that have not ended. `name`
 * says what was called, with its model and tenant where it has them: `admit of r1 (m:latest, tenant t0)`.
 *
 * @category running
 * @since 0.1.0
 */
export const tracked = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Outstanding, (calls) =>
    Effect.suspend(() => {
      const call = calls.begin(name)
      return Effect.onExit(effect, () => Effect.sync(() => calls.end(call)))
    }))

/** At most twenty names, then how many more there are. */
export const listed = (names: ReadonlyArray<string>): string => {
  const first = names.slice(0, 20).map((name) => `\n  ${name}`).join("")
  return names.length > 20 ? `${first}\n  and ${names.length - 20} more` : first
}

/** A call in a fiber of its own. */
export interface ForkedCall {
  readonly name: string
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/** Runs `turn` up to `times`, until every call has ended. Dies with the names of the calls that have not. */
export const allAnswered = <E, R>(
  calls: ReadonlyArray<ForkedCall>,
  turn: Effect.Effect<unknown, E, R>,
  times: number,
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const open = () => calls.filter(({ fiber }) => fiber.pollUnsafe() === undefined)
    for (let i = 0; i < times && open().length > 0; i++) yield* turn
    const names = open().map(({ name }) => name)
    assert.ok(names.length === 0, `never got an answer:${listed(names)}`)
  })
