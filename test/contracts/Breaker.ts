import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Breaker,
  type BreakerKey,
  type BreakerState,
  type BreakerTransition,
  type Permit,
} from "../../src/services/Breaker.ts"
import { clientGone, type Outcome, success } from "../../src/services/Outcome.ts"

const failed = (cause: string): Outcome => ({ kind: "failure", cause })
const refused = failed("refused")
const broken = failed("http-500")
const silent = failed("first-byte-timeout")
const saturated: Outcome = { kind: "saturated", cause: "http-503" }

const attempt = (breaker: Breaker["Service"], outcome: Outcome, times = 1, backend = "a", model = "m") => {
  for (let i = 0; i < times; i++) {
    const permit = breaker.acquire(backend, model)
    assert.isDefined(permit, `attempt ${i} of ${times} is let through`)
    permit.record(outcome)
  }
}

/** How a test opens a closed breaker, and lets an opening pass. */
export interface Drive<R> {
  readonly open: (key: BreakerKey) => Effect.Effect<void, never, Breaker | R>
  readonly elapse: (millis: number) => Effect.Effect<void, never, Breaker | R>
}

/** By five failures, and by time. */
const byFailures: Drive<never> = {
  open: ({ backend, model }) =>
    Effect.map(Breaker, (breaker) => {
      const failure = model === undefined ? refused : broken
      while (breaker.state(backend, model) === "closed") attempt(breaker, failure, 1, backend, model)
    }),
  elapse: (millis) => TestClock.adjust(millis),
}

const fiveInARow = (failures: ReadonlyArray<boolean>): boolean =>
  failures.length >= 5 && failures.slice(-5).every((failure) => failure)

/** What a subject is, beyond its layer. Every test builds the layer anew. */
export interface Options<R> {
  readonly runs: number
  /** Whether what a closed breaker has heard (`true` is a failure) opens it. Defaults to five failures in a row. */
  readonly trips?: (failures: ReadonlyArray<boolean>) => boolean
  /** Defaults to five failures, and time: then an opening takes at most 30 seconds, doubling to 5 minutes. */
  readonly drive?: Drive<R>
}

export const suite = <E, R = never>(name: string, layer: Layer.Layer<Breaker | R, E>, options: Options<R>): void => {
  const drive: Drive<R> = options.drive ?? byFailures
  const seen: Seen = { trials: 0, contended: 0, stale: 0, opened: 0, isolated: 0 }
  describe(`${name} is a Breaker`, () => {
    it.effect("an open backend lets nothing through for any model there, and everything for other backends", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a" })
        assert.strictEqual(breaker.state("a"), "open")
        assert.strictEqual(breaker.state("a", "m"), "open")
        assert.isUndefined(breaker.acquire("a", "m"))
        assert.isUndefined(breaker.acquire("a", "never heard of"))
        assert.isAbove(breaker.retryMillis("a", "m"), 0)
        assert.strictEqual(breaker.state("b"), "closed")
        assert.isDefined(breaker.acquire("b", "m"))
        assert.strictEqual(breaker.retryMillis("b", "m"), 0)
      }).pipe(Effect.provide(layer)))

    it.effect("an open model leaves the others on its backend alone", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a", model: "embedder" })
        assert.strictEqual(breaker.state("a", "embedder"), "open")
        assert.strictEqual(breaker.state("a"), "closed")
        assert.isUndefined(breaker.acquire("a", "embedder"))
        attempt(breaker, success, 10, "a", "chat")
        assert.strictEqual(breaker.retryMillis("a", "chat"), 0)
      }).pipe(Effect.provide(layer)))

    it.effect("half-open lets exactly one trial through", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a" })
        yield* drive.elapse(30_000)
        assert.strictEqual(breaker.state("a", "m"), "half-open")
        assert.strictEqual(breaker.retryMillis("a", "m"), 0)
        const trial = breaker.acquire("a", "m")
        assert.strictEqual(trial?.trial, true)
        assert.isUndefined(breaker.acquire("a", "m"))
        assert.isUndefined(breaker.acquire("a", "other"))
        assert.isAbove(breaker.retryMillis("a", "m"), 0)
        trial!.record(success)
        assert.strictEqual(breaker.state("a", "m"), "closed")
        assert.strictEqual(breaker.acquire("a", "m")?.trial, false)
      }).pipe(Effect.provide(layer)))

    it.effect("a trial that ends without an answer makes room for another, and closes nothing", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a" })
        yield* drive.elapse(30_000)
        for (let i = 0; i < 20; i++) attempt(breaker, i % 2 === 0 ? clientGone : saturated)
        assert.strictEqual(breaker.state("a"), "half-open")
        attempt(breaker, success)
        assert.strictEqual(breaker.state("a"), "closed")
      }).pipe(Effect.provide(layer)))

    it.effect("is never opened by saturation or by clients", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, saturated, 100)
        attempt(breaker, clientGone, 100)
        assert.strictEqual(breaker.state("a", "m"), "closed")
      }).pipe(Effect.provide(layer)))

    it.effect("hears of a permit once, and not of what began before the last transition", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        const once = breaker.acquire("a", "m")!
        for (let i = 0; i < 9; i++) once.record(refused)
        assert.strictEqual(breaker.state("a"), "closed")
        once.record(success)
        const old = Array.from({ length: 20 }, () => breaker.acquire("a", "m")!)
        yield* drive.open({ backend: "a" })
        assert.strictEqual(breaker.state("a"), "open")
        old[0]!.record(success)
        assert.strictEqual(breaker.state("a"), "open")
        yield* drive.elapse(30_000)
        old[1]!.record(refused)
        old[2]!.record(success)
        assert.strictEqual(breaker.state("a"), "half-open")
        attempt(breaker, success)
        for (const permit of old) permit.record(refused)
        assert.strictEqual(breaker.state("a"), "closed")
      }).pipe(Effect.provide(layer)))

    it.effect("tells of transitions to listeners, with the state in place, and in a stream", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        const told: Array<BreakerTransition> = []
        const stop = breaker.onTransition((transition) => {
          assert.strictEqual(breaker.state(transition.key.backend, transition.key.model), transition.to)
          told.push(transition)
        })
        const streamed = yield* breaker.transitions.pipe(
          Stream.take(3),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true }),
        )
        yield* drive.open({ backend: "a", model: "m" })
        yield* drive.elapse(30_000)
        attempt(breaker, success)
        assert.deepStrictEqual(told.map(({ from, key, to }) => [key.backend, key.model, from, to]), [
          ["a", "m", "closed", "open"],
          ["a", "m", "open", "half-open"],
          ["a", "m", "half-open", "closed"],
        ])
        const waited = told[1]!.at - told[0]!.at
        assert.isAbove(waited, 0)
        assert.isAtMost(waited, 30_000)
        assert.strictEqual(told[2]!.at - told[0]!.at, 30_000)
        assert.deepStrictEqual(Array.from(yield* Fiber.join(streamed)), told)
        stop()
        yield* drive.open({ backend: "a", model: "m" })
        assert.lengthOf(told, 3)
      }).pipe(Effect.provide(layer)))

    it.effect("what an operator isolates stays out, whatever happens, until it is restored", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        const told: Array<string> = []
        breaker.onTransition(({ from, key, to }) => told.push(`${key.backend}/${key.model ?? ""} ${from}>${to}`))
        const old = breaker.acquire("a", "m")!
        breaker.isolate({ backend: "a" })
        breaker.isolate({ backend: "a" })
        assert.strictEqual(breaker.state("a", "m"), "isolated")
        assert.isUndefined(breaker.acquire("a", "m"))
        assert.isAbove(breaker.retryMillis("a", "m"), 0)
        assert.isTrue(Number.isFinite(breaker.retryMillis("a", "m")))
        attempt(breaker, success, 1, "b")
        old.record(success)
        yield* drive.elapse(600_000)
        assert.strictEqual(breaker.state("a"), "isolated")
        breaker.restore({ backend: "a" })
        breaker.restore({ backend: "a" })
        attempt(breaker, success)
        breaker.isolate({ backend: "a", model: "m" })
        assert.isUndefined(breaker.acquire("a", "m"))
        attempt(breaker, success, 1, "a", "other")
        breaker.restore({ backend: "a", model: "m" })
        attempt(breaker, success)
        assert.deepStrictEqual(told, [
          "a/ closed>isolated",
          "a/ isolated>closed",
          "a/m closed>isolated",
          "a/m isolated>closed",
        ])
      }).pipe(Effect.provide(layer)))

    it.effect("isolation ends a trial, and restoring a half-open breaker leaves no second one behind", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        yield* drive.open({ backend: "a" })
        yield* drive.elapse(30_000)
        const trial = breaker.acquire("a", "m")!
        breaker.isolate({ backend: "a" })
        trial.record(success)
        assert.strictEqual(breaker.state("a"), "isolated")
        yield* drive.elapse(300_000)
        breaker.restore({ backend: "a" })
        assert.strictEqual(breaker.acquire("a", "m")?.trial, false)
        yield* drive.open({ backend: "a" })
        yield* drive.elapse(30_000)
        yield* drive.elapse(30_000)
        assert.strictEqual(breaker.acquire("a", "m")?.trial, true)
        assert.isUndefined(breaker.acquire("a", "m"))
      }).pipe(Effect.provide(layer)))

    it.effect.prop(
      "invariant 6, whatever the history",
      { history: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(80)) },
      ({ history }) => Effect.provide(check(history, seen, options), layer),
      { arbitrary: { runs: options.runs, seed: "breaker" }, timeout: 60_000 },
    )

    it("the histories got somewhere", () => {
      for (const count of Object.values(seen)) assert.isAbove(count, options.runs / 8, JSON.stringify(seen))
      assert.isAbove(seen.trials, options.runs)
    })
  })
}

/** For layers that open after exactly five failures in a row, for exactly 30 seconds, doubling to 5 minutes. */
export const consecutive = <E>(name: string, layer: Layer.Layer<Breaker, E>): void => {
  describe(`${name} opens after five failures in a row`, () => {
    it.effect("whichever model they were with, where the backend could not be reached", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 4)
        assert.strictEqual(breaker.state("a"), "closed")
        attempt(breaker, refused, 1, "a", "other")
        assert.strictEqual(breaker.state("a"), "open")
        assert.strictEqual(breaker.retryMillis("a", "m"), 30_000)
      }).pipe(Effect.provide(layer)))

    it.effect("and counts only failures in a row", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        for (let i = 0; i < 10; i++) {
          attempt(breaker, refused, 4)
          attempt(breaker, success)
          attempt(breaker, broken, 4)
          attempt(breaker, success)
        }
        assert.strictEqual(breaker.state("a", "m"), "closed")
      }).pipe(Effect.provide(layer)))

    it.effect("until the millisecond that it said", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 5)
        yield* TestClock.adjust("29999 millis")
        assert.isUndefined(breaker.acquire("a", "m"))
        yield* TestClock.adjust("1 millis")
        assert.isDefined(breaker.acquire("a", "m"))
      }).pipe(Effect.provide(layer)))

    it.effect("for twice as long with each failed trial, up to five minutes", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 5)
        const waits: Array<number> = []
        for (let i = 0; i < 7; i++) {
          waits.push(breaker.retryMillis("a", "m") / 1000)
          yield* TestClock.adjust(breaker.retryMillis("a", "m"))
          attempt(breaker, refused)
        }
        assert.deepStrictEqual(waits, [30, 60, 120, 240, 300, 300, 300])
      }).pipe(Effect.provide(layer)))
  })
}

interface Seen {
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
const Step = Schema.Struct({ what: upTo(11), backend: upTo(1), model: upTo(1), which: upTo(7), outcome: upTo(8) })

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

const check = Effect.fnUntraced(
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
