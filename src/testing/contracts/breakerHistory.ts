/**
 * Plays a generated history of attempts, failures, time and operators against a `Breaker`, and keeps its own account of each circuit.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Breaker, type BreakerKey, type BreakerState, type Permit } from "../../services/Breaker.ts"
import { clientGone, type Outcome, success } from "../../services/Outcome.ts"
import * as assert from "../assert.ts"

const failed = (cause: string): Outcome => ({ kind: "failure", cause })
export const refused = failed("refused")
export const broken = failed("http-500")
const silent = failed("first-byte-timeout")
export const saturated: Outcome = { kind: "saturated", cause: "http-503" }

export const attempt = (breaker: Breaker["Service"], outcome: Outcome, times = 1, backend = "a", model = "m") => {
  for (let i = 0; i < times; i++) {
    const permit = breaker.acquire(backend, model)
    assert.ok(permit, `attempt ${i} of ${times} is let through`)
    permit.record(outcome)
  }
}

/** How a test opens a closed breaker, and lets an opening pass. @category models @since 0.1.0 */
export interface Drive<R> {
  readonly open: (key: BreakerKey) => Effect.Effect<void, never, Breaker | R>
  readonly elapse: (millis: number) => Effect.Effect<void, never, Breaker | R>
}

/** By five failures, and by time. */
export const byFailures: Drive<never> = {
  open: ({ backend, model }) =>
    Effect.map(Breaker, (breaker) => {
      const failure = model === undefined ? refused : broken
      // One that never opens must not be tried for ever.
      for (let i = 0; i < 1000 && breaker.state(backend, model) === "closed"; i++) {
        attempt(breaker, failure, 1, backend, model)
      }
      assert.ok(breaker.state(backend, model) !== "closed", "a thousand failures in a row do not open it")
    }),
  elapse: (millis) => TestClock.adjust(millis),
}

const fiveInARow = (failures: ReadonlyArray<boolean>): boolean =>
  failures.length >= 5 && failures.slice(-5).every((failure) => failure)

/** What a subject is, beyond its layer. @category models @since 0.1.0 */
export interface Options<R> {
  /** Generated histories. Defaults to `300`. */
  readonly runs?: number | undefined
  /** Whether what a closed breaker has heard (`true` is a failure) opens it. Defaults to five failures in a row. */
  readonly trips?: ((failures: ReadonlyArray<boolean>) => boolean) | undefined
  /** Defaults to five failures, and time: then an opening takes at most 30 seconds, doubling to 5 minutes. */
  readonly drive?: Drive<R> | undefined
}

/** What the histories of one property came to. */
export interface Seen {
  trials: number
  contended: number
  stale: number
  opened: number
  isolated: number
}

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/**
 * 0 to 2 acquire, 3 to 5 record one of the open permits, 6 and 7 open the backend's breaker and the model's, 8 and 9 let time pass, 10 isolates what 11
 * restores, and 11 alone is an attempt.
 */
export const Step = Schema.Struct({
  what: upTo(11),
  backend: upTo(1),
  model: upTo(1),
  which: upTo(7),
  outcome: upTo(8),
})

const outcomes: ReadonlyArray<Outcome> = [
  success,
  refused,
  refused,
  refused,
  broken,
  broken,
  silent,
  saturated,
  clientGone,
]

const keyOf = ({ backend, model }: BreakerKey): string => model === undefined ? backend : `${backend}/${model}`

/** Whether an outcome is a failure for the breaker of `key`; `undefined` where it says nothing. */
const verdict = (key: string, outcome: Outcome, trial: boolean): boolean | undefined => {
  if (outcome === success) return false
  if (key.includes("/")) return outcome === broken || outcome === silent ? true : undefined
  if (outcome === refused) return true
  if (outcome === broken) return false
  return outcome === silent && trial ? true : undefined
}

interface Open {
  readonly permit: Permit
  /** Each key, with its count of transitions when the permit was taken, and whether it is that key's trial. */
  readonly keys: ReadonlyArray<{ readonly key: string; readonly moves: number; readonly trial: boolean }>
}

/** Plays a history, keeps its own account of every circuit, and holds the breaker to it. */
export const play = Effect.fnUntraced(
  function* <R>(history: ReadonlyArray<typeof Step.Type>, seen: Seen, options: Options<R>) {
    const breaker = yield* Breaker
    const drive: Drive<R> = options.drive ?? byFailures
    const trips = options.drive !== undefined ? () => false : options.trips ?? fiveInARow
    const open: Array<Open> = []
    const isolated = new Set<string>()
    /** Kept, since what a listener throws in the background is heard by nobody. */
    const wrong: Array<string> = []
    /** Each key's own state, how often it moved, what it heard since, and its trial under way: as told by transitions, and as expected. */
    const states = new Map<string, BreakerState>()
    const moves = new Map<string, number>()
    const heard = new Map<string, Array<boolean>>()
    const trials = new Map<string, Permit>()
    const stateOf = (key: string): BreakerState => states.get(key) ?? "closed"
    const movesOf = (key: string): number => moves.get(key) ?? 0
    let recording: Outcome | undefined
    let driving = false
    breaker.onTransition(({ from, key, to }) => {
      const name = keyOf(key)
      const must = (holds: boolean, what: string) => holds || wrong.push(`${name} ${from}>${to}: ${what}`)
      must(from === stateOf(name) && from !== to, "transitions follow on one another")
      // What a store still knows to be open opens again after it was restored.
      if (to === "open") must(driving || recording?.kind === "failure" || isolated.has(name), "only a failure opens")
      if (to === "closed") must(from === "half-open" || from === "isolated", "only a trial or an operator closes")
      if (from === "isolated") must(to === "closed", "only an operator ends an isolation")
      if (to === "isolated") isolated.add(name)
      states.set(name, to)
      moves.set(name, movesOf(name) + 1)
      heard.delete(name)
      trials.delete(name)
    })

    const acquire = (backend: string, model: string): Permit | undefined => {
      const keys = [keyOf({ backend }), keyOf({ backend, model })]
      const held = keys.some((key) => ["open", "isolated"].includes(stateOf(key)))
      const contended = keys.some((key) => stateOf(key) === "half-open" && trials.has(key))
      const permit = breaker.acquire(backend, model)
      assert.strictEqual(permit === undefined, held || contended, `${keys[1]} lets through what it must`)
      if (!held && contended) seen.contended++
      if (permit === undefined) return undefined
      const trial = keys.filter((key) => stateOf(key) === "half-open")
      assert.strictEqual(permit.trial, trial.length > 0)
      for (const key of trial) trials.set(key, permit)
      if (permit.trial) seen.trials++
      open.push({ permit, keys: keys.map((key) => ({ key, moves: movesOf(key), trial: trial.includes(key) })) })
      return permit
    }

    /** The state that a key must be in after `outcome`. */
    const expected = ({ key, moves, trial }: Open["keys"][number], outcome: Outcome): BreakerState => {
      if (movesOf(key) !== moves) return stateOf(key)
      const failure = verdict(key, outcome, trial)
      if (trial) {
        trials.delete(key)
        return failure === undefined ? "half-open" : failure ? "open" : "closed"
      }
      if (failure === undefined) return "closed"
      const since = [...heard.get(key) ?? [], failure]
      heard.set(key, since)
      return failure && trips(since) ? "open" : "closed"
    }

    const record = (index: number, outcome: Outcome): void => {
      const [one] = open.splice(index % open.length, 1)
      if (one === undefined) return
      const after = one.keys.map((key) => [key.key, expected(key, outcome)] as const)
      if (one.keys.some(({ key, moves }) => movesOf(key) !== moves)) seen.stale++
      recording = outcome
      one.permit.record(outcome)
      recording = undefined
      for (const [key, state] of after) {
        assert.strictEqual(stateOf(key), state, `${key} after ${outcome.cause}`)
        if (state === "open") seen.opened++
      }
    }

    const openUp = Effect.fnUntraced(function* (key: BreakerKey) {
      if (options.drive !== undefined) {
        driving = true
        if (stateOf(keyOf(key)) === "closed") yield* drive.open(key)
        driving = false
        return
      }
      const { backend, model = "m0" } = key
      const failure = key.model === undefined ? refused : broken
      for (let i = 0; i < 5 && acquire(backend, model) !== undefined; i++) record(open.length - 1, failure)
    })

    for (const { backend, model, outcome, what, which } of history) {
      const key = { backend: `b${backend}`, model: `m${model}` }
      const part = which % 2 === 0 ? { backend: key.backend } : key
      if (what <= 2) acquire(key.backend, key.model)
      else if (what <= 5) record(which, outcomes[outcome]!)
      else if (what <= 7) yield* openUp(what === 6 ? { backend: key.backend } : key)
      else if (what <= 9) yield* drive.elapse((which + 1) * 7000)
      else if (what === 10 && outcome < 4) {
        breaker.isolate(part)
        seen.isolated++
      } else if (what === 10) breaker.restore(part)
      else if (acquire(key.backend, key.model) !== undefined) record(open.length - 1, outcomes[outcome]!)
    }
    assert.deepStrictEqual(wrong, [])
    // Nothing is wedged: once every attempt is over, operators have let go and time has passed, each pair lets a trial through, and closes.
    while (open.length > 0) record(0, clientGone)
    const backends = ["b0", "b1"]
    const models = ["m0", "m1"]
    for (const backend of backends) {
      breaker.restore({ backend })
      for (const model of models) breaker.restore({ backend, model })
    }
    yield* drive.elapse(360_000)
    for (const backend of backends) {
      for (const model of models) {
        assert.isDefined(acquire(backend, model), `${backend} ${model} is wedged`)
        record(0, success)
        assert.strictEqual(breaker.state(backend, model), "closed")
      }
    }
    assert.deepStrictEqual(wrong, [])
  },
)
