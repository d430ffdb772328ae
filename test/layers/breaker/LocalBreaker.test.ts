import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Random } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { clientGone, type Outcome, success } from "../../../src/services/Outcome.ts"
import * as BreakerContract from "../../../src/testing/contracts/Breaker.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { holds } from "../../support/checks.ts"
import { runs } from "../../support/runs.ts"

const { CircuitBreakerError, CircuitBreakerStore, CircuitBreakerStoreError } = CircuitBreaker
const memory = CircuitBreaker.layerStoreMemory()
const refused: Outcome = { kind: "failure", cause: "refused" }

const fail = (breaker: Breaker["Service"], times: number): void => {
  for (let i = 0; i < times; i++) breaker.acquire("a", "m")?.record(refused)
}

/** Two replicas over one store. */
const replicas = Effect.gen(function* () {
  const store = yield* Layer.build(memory)
  const replica = Effect.map(
    Layer.build(Layer.fresh(LocalBreaker.layer()).pipe(Layer.provide(Layer.succeedContext(store)))),
    (context) => Context.get(context, Breaker),
  )
  return { one: yield* replica, other: yield* replica, store: Context.get(store, CircuitBreakerStore) }
})

const storeDown = Effect.fail(
  new CircuitBreakerError({ reason: new CircuitBreakerStoreError({ message: "no route to the store" }) }),
)

holds(
  "LocalBreaker is a Breaker",
  BreakerContract.contract(LocalBreaker.layer().pipe(Layer.provide(memory)), { runs: runs(250, 1000) }),
)
holds(
  "LocalBreaker opens after five failures in a row",
  BreakerContract.consecutive(LocalBreaker.layer({ jitter: 0 }).pipe(Layer.provide(memory))),
)
// Opens at a share of one half of the last ten outcomes, from five outcomes on.
const half = CircuitBreaker.rate({ threshold: 0.5, size: 10, minimumCalls: 5 })
holds(
  "LocalBreaker by rate is a Breaker",
  BreakerContract.contract(LocalBreaker.layer({ trip: half }).pipe(Layer.provide(memory)), {
    runs: runs(250, 1000),
    trips: (failures) => {
      const last = failures.slice(-10)
      return last.length >= 5 && last.filter((failure) => failure).length * 2 >= last.length
    },
  }),
)
holds(
  "LocalBreaker without its store is a Breaker",
  BreakerContract.contract(
    LocalBreaker.layer().pipe(
      Layer.provide(Layer.succeed(CircuitBreakerStore, {
        admit: () => storeDown,
        record: () => storeDown,
        state: () => storeDown,
      })),
    ),
    { runs: 200 },
  ),
)

holds(
  "LocalBreaker over a broken store is a Breaker",
  BreakerContract.contract(
    LocalBreaker.layer().pipe(
      Layer.provide(Layer.succeed(CircuitBreakerStore, {
        admit: () => Effect.die("broken"),
        record: () => Effect.die("broken"),
        state: () => Effect.die("broken"),
      })),
    ),
    { runs: 100 },
  ),
)

describe("LocalBreaker", () => {
  it.effect("decides alone after one second while its store does not answer", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      fail(breaker, 5)
      assert.strictEqual(breaker.state("a"), "open")
      yield* elapse(breaker.retryMillis("a", "m") + 500)
      assert.strictEqual(breaker.state("a"), "open")
      assert.strictEqual(breaker.retryMillis("a", "m"), 1)
      yield* elapse("1500 millis")
      assert.strictEqual(breaker.state("a"), "half-open")
      fail(breaker, 1)
      assert.strictEqual(breaker.state("a"), "open")
    }).pipe(
      Effect.provide(
        LocalBreaker.layer().pipe(
          Layer.provide(
            Layer.succeed(CircuitBreakerStore, {
              admit: () => Effect.never,
              record: () => Effect.never,
              state: () => Effect.never,
            }),
          ),
        ),
      ),
    ))

  it.effect("writes its transitions to the store", () =>
    Effect.gen(function* () {
      const { one, store } = yield* replicas
      fail(one, 5)
      yield* TestClock.adjust("1 millis")
      const open = yield* store.state("llamero:breaker:a")
      assert.strictEqual(open._tag, "Open")
      if (open._tag === "Open") {
        assert.strictEqual(Duration.toMillis(open.retryAfter), one.retryMillis("a", "m"))
      }
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* store.state("llamero:breaker:a"))._tag, "HalfOpen")
      one.acquire("a", "m")!.record(success)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* store.state("llamero:breaker:a"))._tag, "Closed")
    }))

  it.effect("a replica takes over the opening that another replica found, for a key that it uses", () =>
    Effect.gen(function* () {
      const { one, other } = yield* replicas
      other.acquire("a", "m")!.record(success)
      fail(one, 5)
      assert.strictEqual(other.state("a"), "closed")
      yield* elapse("6 seconds")
      assert.strictEqual(other.state("a"), "open")
      assert.isAtMost(other.retryMillis("a", "m"), 24_000)
    }))

  it.effect("of two replicas one gets the trial; the other closes when the trial succeeds", () =>
    Effect.gen(function* () {
      const { one, other } = yield* replicas
      other.acquire("a", "m")!.record(success)
      fail(one, 5)
      yield* elapse("6 seconds")
      yield* elapse("25 seconds")
      const states = [one.state("a"), other.state("a")]
      assert.deepStrictEqual(states.toSorted(), ["half-open", "open"])
      const [lucky, waiting] = states[0] === "half-open" ? [one, other] : [other, one]
      assert.isUndefined(waiting.acquire("a", "m"))
      const trial = lucky.acquire("a", "m")!
      yield* elapse("1 minute")
      assert.strictEqual(waiting.state("a"), "open")
      trial.record(success)
      yield* elapse("2 seconds")
      assert.deepStrictEqual([one.state("a"), other.state("a")], ["closed", "closed"])
    }))

  it.effect("a backend isolated during its trial leaves the trial to the other replica", () =>
    Effect.gen(function* () {
      const { one, other } = yield* replicas
      other.acquire("a", "m")!.record(success)
      fail(one, 5)
      yield* elapse("31 seconds")
      const [lucky, waiting] = one.state("a") === "half-open" ? [one, other] : [other, one]
      const trial = lucky.acquire("a", "m")!
      assert.isTrue(trial.trial)
      lucky.isolate({ backend: "a" })
      assert.strictEqual(lucky.retryMillis("a", "m"), 60_000)
      yield* elapse("2 seconds")
      trial.record(success)
      assert.deepStrictEqual([lucky.state("a"), waiting.state("a")], ["isolated", "half-open"])
    }))

  it.effect("a trial that no request takes goes to the other replica", () =>
    Effect.gen(function* () {
      const { one, other } = yield* replicas
      other.acquire("a", "m")!.record(success)
      fail(one, 5)
      yield* elapse("6 seconds")
      yield* elapse("25 seconds")
      const [lucky, waiting] = one.state("a") === "half-open" ? [one, other] : [other, one]
      yield* elapse("31 seconds")
      assert.strictEqual(waiting.state("a"), "half-open")
      waiting.acquire("a", "m")!.record(success)
      lucky.acquire("a", "m")!.record(clientGone)
      assert.strictEqual(waiting.state("a"), "closed")
      assert.strictEqual(lucky.state("a"), "half-open")
    }))

  it.effect("a timeout reopens a half-open backend, but never opens a closed one", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      for (let i = 0; i < 40; i++) {
        breaker.acquire("a", `model ${i}`)!.record({ kind: "failure", cause: "first-byte-timeout" })
      }
      assert.strictEqual(breaker.state("a"), "closed")
      fail(breaker, 5)
      yield* TestClock.adjust("30 seconds")
      breaker.acquire("a", "m")!.record({ kind: "failure", cause: "first-byte-timeout" })
      assert.strictEqual(breaker.state("a"), "open")
      yield* TestClock.adjust("60 seconds")
      breaker.acquire("a", "m")!.record({ kind: "failure", cause: "http-500" })
      assert.strictEqual(breaker.state("a"), "closed")
    }).pipe(Effect.provide(LocalBreaker.layer().pipe(Layer.provide(memory)))))

  it.effect("shortens an opening by a random part of up to a tenth, the same for the same seed", () =>
    Effect.gen(function* () {
      const openings = Effect.map(Breaker, (breaker) => {
        for (const backend of ["a", "b", "c", "d", "e"]) {
          for (let i = 0; i < 5; i++) breaker.acquire(backend, "m")!.record(refused)
        }
        return ["a", "b", "c", "d", "e"].map((backend) => breaker.retryMillis(backend, "m"))
      }).pipe(Effect.provide(Layer.fresh(LocalBreaker.layer().pipe(Layer.provide(memory)))))
      const some = yield* Random.withSeed(openings, "one")
      assert.deepStrictEqual(yield* Random.withSeed(openings, "one"), some)
      assert.notDeepEqual(yield* Random.withSeed(openings, "another"), some)
      assert.strictEqual(new Set(some).size, 5)
      for (const millis of some) {
        assert.isAtMost(millis, 30_000)
        assert.isAtLeast(millis, 27_000)
      }
    }))

  it.effect("opens at a share of failures, in any order of failures and successes", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      // Never five failures in a row, and one failure in three.
      for (let i = 0; i < 30; i++) breaker.acquire("a", "m")!.record(i % 3 === 0 ? refused : success)
      assert.strictEqual(breaker.state("a"), "closed")
      for (let i = 0; i < 10 && breaker.state("a") === "closed"; i++) {
        breaker.acquire("a", "m")!.record(i % 3 === 0 ? success : refused)
      }
      assert.strictEqual(breaker.state("a"), "open")
    }).pipe(Effect.provide(LocalBreaker.layer({ trip: half }).pipe(Layer.provide(memory)))))

  it.effect("each opening is longer, until the breaker was closed for as long as it was open", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      const opened = Effect.sync(() => {
        fail(breaker, 5)
        return breaker.retryMillis("a", "m")
      })
      /** The trial at the end of the opening succeeds. */
      const mended = (millis: number) =>
        Effect.andThen(elapse(`${millis} millis`), Effect.sync(() => breaker.acquire("a", "m")!.record(success)))
      assert.strictEqual(yield* opened, 30_000)
      yield* mended(30_000)
      yield* elapse("29 seconds")
      assert.strictEqual(yield* opened, 60_000)
      yield* mended(60_000)
      yield* elapse("59 seconds")
      assert.strictEqual(yield* opened, 120_000)
      yield* mended(120_000)
      yield* elapse("120 seconds")
      assert.strictEqual(yield* opened, 30_000)
    }).pipe(Effect.provide(LocalBreaker.layer({ jitter: 0 }).pipe(Layer.provide(memory)))))

  it.effect("an openDuration above openDurationMax replaces it", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      for (const millis of [600_000, 600_000]) {
        fail(breaker, 5)
        assert.strictEqual(breaker.retryMillis("a", "m"), millis)
        yield* elapse(`${millis} millis`)
      }
    }).pipe(
      Effect.provide(LocalBreaker.layer({ jitter: 0, openDuration: "10 minutes" }).pipe(Layer.provide(memory))),
    ))

  it("refuses impossible options", () => {
    assert.throws(() => LocalBreaker.layer({ jitter: 1 }), RangeError)
    assert.throws(() => LocalBreaker.layer({ openDuration: 0 }), RangeError)
  })
})
