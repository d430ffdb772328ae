import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Breaker, type BreakerTransition, type Permit } from "../../src/services/Breaker.ts"
import { clientGone, type Outcome, success } from "../../src/services/Outcome.ts"

const failed = (cause: string): Outcome => ({ kind: "failure", cause })
const refused = failed("refused")
const broken = failed("http-500")
const saturated: Outcome = { kind: "saturated", cause: "http-503" }

const attempt = (breaker: Breaker["Service"], outcome: Outcome, times = 1, backend = "a", model = "m") => {
  for (let i = 0; i < times; i++) {
    const permit = breaker.acquire(backend, model)
    assert.isDefined(permit, `attempt ${i} of ${times} is let through`)
    permit.record(outcome)
  }
}

/** `layer` opens after 5 failures for 30 seconds, doubling to 5 minutes. Every test needs a new one. */
export const suite = <E>(name: string, layer: Layer.Layer<Breaker, E>, options: { readonly runs: number }): void => {
  const seen = { trials: 0, contended: 0, stale: 0 }
  describe(`${name} is a Breaker`, () => {
    it.effect("opens a backend after five failures to reach it, for every model there and no other backend", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 4)
        assert.strictEqual(breaker.state("a"), "closed")
        attempt(breaker, refused, 1, "a", "other")
        assert.strictEqual(breaker.state("a"), "open")
        assert.isUndefined(breaker.acquire("a", "m"))
        assert.isUndefined(breaker.acquire("a", "never heard of"))
        assert.strictEqual(breaker.retryMillis("a", "m"), 30_000)
        assert.strictEqual(breaker.state("b"), "closed")
        assert.isDefined(breaker.acquire("b", "m"))
      }).pipe(Effect.provide(layer)))

    it.effect("opens one model after five failed answers, and leaves the others on its backend alone", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, broken, 5)
        assert.strictEqual(breaker.state("a", "m"), "open")
        assert.strictEqual(breaker.state("a"), "closed")
        assert.isUndefined(breaker.acquire("a", "m"))
        attempt(breaker, success, 1, "a", "other")
        assert.strictEqual(breaker.retryMillis("a", "other"), 0)
      }).pipe(Effect.provide(layer)))

    it.effect("counts only failures in a row", () =>
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

    it.effect("lets exactly one trial through when the time is up", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 5)
        yield* TestClock.adjust("29999 millis")
        assert.isUndefined(breaker.acquire("a", "m"))
        yield* TestClock.adjust("1 millis")
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

    it.effect("doubles the time with each failed trial, up to five minutes", () =>
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

    it.effect("a trial that ends without an answer makes room for another, and closes nothing", () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker
        attempt(breaker, refused, 5)
        yield* TestClock.adjust("30 seconds")
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
        const old = Array.from({ length: 20 }, () => breaker.acquire("a", "m")!)
        attempt(breaker, refused, 4)
        assert.strictEqual(breaker.state("a"), "open")
        old[0]!.record(success)
        assert.strictEqual(breaker.state("a"), "open")
        yield* TestClock.adjust("30 seconds")
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
        const seen: Array<BreakerTransition> = []
        const stop = breaker.onTransition((transition) => {
          assert.strictEqual(breaker.state(transition.key.backend, transition.key.model), transition.to)
          seen.push(transition)
        })
        const streamed = yield* breaker.transitions.pipe(
          Stream.take(3),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true }),
        )
        attempt(breaker, broken, 5)
        yield* TestClock.adjust("30 seconds")
        attempt(breaker, success)
        assert.deepStrictEqual(seen.map(({ from, key, to }) => [key.backend, key.model, from, to]), [
          ["a", "m", "closed", "open"],
          ["a", "m", "open", "half-open"],
          ["a", "m", "half-open", "closed"],
        ])
        assert.deepStrictEqual(seen.map(({ at }) => at - seen[0]!.at), [0, 30_000, 30_000])
        assert.deepStrictEqual(Array.from(yield* Fiber.join(streamed)), seen)
        stop()
        attempt(breaker, broken, 5)
        assert.lengthOf(seen, 3)
      }).pipe(Effect.provide(layer)))

    it.effect.prop(
      "invariant 6, whatever the history",
      { history: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(80)) },
      ({ history }) => Effect.provide(check(history, seen), layer),
      { arbitrary: { runs: options.runs, seed: "breaker" } },
    )

    it("the histories got somewhere", () => {
      assert.isAbove(seen.trials, options.runs)
      assert.isAbove(seen.contended, options.runs / 4)
      assert.isAbove(seen.stale, options.runs / 4)
    })
  })
}

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** 0 to 2 acquire, 3 to 5 record one of the open permits, 6 and 7 are five attempts in a row that fail, 8 and 9 let time pass. */
const Step = Schema.Struct({ what: upTo(9), backend: upTo(1), model: upTo(1), which: upTo(7), outcome: upTo(8) })

const outcomes: ReadonlyArray<Outcome> = [
  success,
  refused,
  refused,
  refused,
  broken,
  broken,
  failed("first-byte-timeout"),
  saturated,
  clientGone,
]

const check = Effect.fnUntraced(function* (
  history: ReadonlyArray<typeof Step.Type>,
  seen: { trials: number; contended: number; stale: number },
) {
  const breaker = yield* Breaker
  const open: Array<{ readonly permit: Permit; readonly keys: ReadonlyArray<string>; readonly moves: number }> = []
  let moves = 0
  /** Keys that are half-open, each with the trials taken and not recorded since. */
  const trials = new Map<string, Set<Permit>>()
  let recording: Outcome | undefined
  const keyOf = (backend: string, model?: string): string => model === undefined ? backend : `${backend}/${model}`
  breaker.onTransition(({ from, key, to }) => {
    assert.notStrictEqual(from, to)
    moves++
    if (to === "open") assert.strictEqual(recording?.kind, "failure", "only a failure opens")
    if (to === "closed") assert.strictEqual(from, "half-open", "only a trial closes")
    movedAt.set(keyOf(key.backend, key.model), moves)
    if (to === "half-open") trials.set(keyOf(key.backend, key.model), new Set())
    else trials.delete(keyOf(key.backend, key.model))
  })
  const movedAt = new Map<string, number>()
  const movedSince = (key: string, moves: number): boolean => (movedAt.get(key) ?? 0) > moves
  const acquire = (backend: string, model: string): Permit | undefined => {
    const state = breaker.state(backend, model)
    const permit = breaker.acquire(backend, model)
    if (state === "open") assert.isUndefined(permit, "an open breaker lets nothing through")
    if (state === "closed") assert.isDefined(permit, "a closed breaker lets everything through")
    if (permit === undefined) {
      if (state === "half-open") seen.contended++
      return undefined
    }
    const keys = [keyOf(backend), keyOf(backend, model)]
    open.push({ permit, keys, moves })
    let trial = false
    for (const key of keys) {
      const taken = trials.get(key)
      if (taken === undefined) continue
      trial = true
      taken.add(permit)
      assert.strictEqual(taken.size, 1, "half-open lets exactly one through")
    }
    assert.strictEqual(permit.trial, trial)
    if (trial) seen.trials++
    return permit
  }
  const record = (index: number, outcome: Outcome): void => {
    const [attempt] = open.splice(index % open.length, 1)
    if (attempt === undefined) return
    for (const taken of trials.values()) taken.delete(attempt.permit)
    const before = moves
    recording = outcome
    attempt.permit.record(outcome)
    recording = undefined
    if (attempt.moves === before) return
    seen.stale++
    if (!attempt.permit.trial && attempt.keys.every((key) => movedSince(key, attempt.moves))) {
      assert.strictEqual(moves, before, "what began before a transition says nothing about the time after it")
    }
  }
  for (const { backend, model, outcome, what, which } of history) {
    if (what <= 2) acquire(`b${backend}`, `m${model}`)
    else if (what <= 5) record(which, outcomes[outcome]!)
    else if (what <= 7) {
      const failure = what === 6 ? refused : broken
      for (let i = 0; i < 5 && acquire(`b${backend}`, `m${model}`) !== undefined; i++) record(open.length - 1, failure)
    } else yield* TestClock.adjust((which + 1) * 7000)
  }
  // Nothing is wedged: once every attempt is over and time has passed, each pair lets a trial through, and closes.
  while (open.length > 0) record(0, clientGone)
  yield* TestClock.adjust("6 minutes")
  for (const backend of ["b0", "b1"]) {
    for (const model of ["m0", "m1"]) {
      assert.isDefined(acquire(backend, model), `${backend} ${model} is wedged`)
      record(0, success)
      assert.strictEqual(breaker.state(backend, model), "closed")
    }
  }
})
