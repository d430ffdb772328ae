/** A breaker and its store: one that is slow, has lost its memory, does not answer, throws, or is asked too often. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Logger } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { type Outcome, success } from "../../../src/services/Outcome.ts"
import { elapse } from "../../../src/testing/elapse.ts"

const { CircuitBreakerError, CircuitBreakerStore, CircuitBreakerStoreError } = CircuitBreaker
const memory = CircuitBreaker.layerStoreMemory()
const refused: Outcome = { kind: "failure", cause: "refused" }

const fail = (breaker: Breaker["Service"], times: number): void => {
  for (let i = 0; i < times; i++) breaker.acquire("a", "m")?.record(refused)
}
const storeDown = Effect.fail(
  new CircuitBreakerError({ reason: new CircuitBreakerStoreError({ message: "no route to the store" }) }),
)

describe("LocalBreaker and its store", () => {
  it.effect("a backend isolated while the store is asked stays isolated", () => {
    let asked = 0
    return Effect.gen(function* () {
      const breaker = yield* Breaker
      breaker.acquire("a", "m")!.record(success)
      yield* elapse("200 millis")
      // The store has been asked, and has not answered yet.
      assert.strictEqual(asked, 2)
      assert.strictEqual(breaker.state("a"), "closed")
      breaker.isolate({ backend: "a" })
      yield* elapse("1 minute")
      assert.strictEqual(breaker.state("a"), "isolated")
    }).pipe(
      Effect.provide(
        LocalBreaker.layer().pipe(
          Layer.provide(
            Layer.succeed(CircuitBreakerStore, {
              admit: () => storeDown,
              record: () => storeDown,
              state: (key) =>
                Effect.suspend(() => {
                  asked++
                  return Effect.delay(
                    Effect.succeed<CircuitBreaker.State>({
                      _tag: "Open",
                      key,
                      consecutiveOpenings: 1,
                      retryAfter: Duration.seconds(30),
                    }),
                    "500 millis",
                  )
                }),
            }),
          ),
        ),
      ),
    )
  })

  it.effect("a store that does not know of an opening cannot end it without a trial", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker
      fail(breaker, 5)
      yield* elapse("31 seconds")
      assert.strictEqual(breaker.state("a"), "half-open")
    }).pipe(
      Effect.provide(
        LocalBreaker.layer().pipe(
          Layer.provide(
            Layer.succeed(CircuitBreakerStore, {
              // Closed, after an earlier opening.
              admit: () =>
                Effect.succeed({ generation: 1, probe: false, consecutiveOpenings: 1, transition: undefined }),
              record: () => storeDown,
              state: () => storeDown,
            }),
          ),
        ),
      ),
    ))

  it.effect("a store that has lost its memory does not end an opening", () =>
    Effect.gen(function* () {
      const fresh = Effect.map(
        Layer.build(Layer.fresh(memory)),
        (context) => Context.get(context, CircuitBreakerStore),
      )
      let store = yield* fresh
      const layer = LocalBreaker.layer().pipe(
        Layer.provide(Layer.succeed(CircuitBreakerStore, {
          admit: (key) => store.admit(key),
          record: (outcome) => store.record(outcome),
          state: (key) => store.state(key),
        })),
      )
      const breaker = Context.get(yield* Layer.build(layer), Breaker)
      fail(breaker, 5)
      yield* elapse("1 second")
      assert.strictEqual((yield* store.state("llamero:breaker:a"))._tag, "Open")
      store = yield* fresh
      yield* elapse("30 seconds")
      assert.strictEqual(breaker.state("a"), "half-open")
    }))

  it.effect("each outage of the store is logged once", () => {
    const warnings: Array<unknown> = []
    const log = Logger.layer([Logger.make(({ message }) => void warnings.push(message))])
    let down = true
    const store = Layer.effect(
      CircuitBreakerStore,
      Effect.map(CircuitBreakerStore, (store) => {
        const unless = <A, R>(call: Effect.Effect<A, CircuitBreaker.CircuitBreakerError, R>) =>
          Effect.suspend(() => down ? storeDown : call)
        return {
          admit: (key: string) => unless(store.admit(key)),
          record: (outcome: Parameters<typeof store.record>[0]) => unless(store.record(outcome)),
          state: (key: string) => unless(store.state(key)),
        }
      }),
    ).pipe(Layer.provide(memory))
    return Effect.gen(function* () {
      const breaker = yield* Breaker
      const compared = Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          breaker.acquire("a", "m")!.record(success)
          yield* elapse("6 seconds")
        }
        return warnings.length
      })
      assert.strictEqual(yield* compared, 1)
      down = false
      assert.strictEqual(yield* compared, 1)
      down = true
      assert.strictEqual(yield* compared, 2)
    }).pipe(Effect.provide(LocalBreaker.layer().pipe(Layer.provide([store, log]))))
  })

  it.effect("a key is compared with the store for one minute after its last use", () => {
    const asked = new Map<string, number>()
    const store = Layer.succeed(CircuitBreakerStore, {
      admit: () => storeDown,
      record: () => storeDown,
      state: (key) =>
        Effect.sync((): CircuitBreaker.State => {
          asked.set(key, (asked.get(key) ?? 0) + 1)
          return { _tag: "Closed", key }
        }),
    })
    return Effect.gen(function* () {
      const breaker = yield* Breaker
      for (const used of [1, 2]) {
        breaker.acquire("a", "m")!.record(success)
        for (let i = 0; i < 30; i++) yield* elapse("5 seconds")
        assert.deepStrictEqual(Object.fromEntries(asked), {
          "llamero:breaker:a": 12 * used,
          "llamero:breaker:a/m": 12 * used,
        })
      }
    }).pipe(Effect.provide(LocalBreaker.layer().pipe(Layer.provide(store))))
  })

  it.effect("an opening is followed to its end after a defect of the store", () => {
    let releases = 0
    const store = Layer.effect(
      CircuitBreakerStore,
      Effect.map(CircuitBreakerStore, (store) => ({
        ...store,
        // The first two scopes cannot be closed: the defect comes after the answer.
        admit: (key: string) =>
          Effect.tap(
            store.admit(key),
            () => Effect.addFinalizer(() => ++releases <= 2 ? Effect.die(new Error("no release")) : Effect.void),
          ),
      })),
    ).pipe(Layer.provide(memory))
    return Effect.gen(function* () {
      const breaker = yield* Breaker
      fail(breaker, 5)
      for (let second = 0; second < 90; second++) yield* elapse("1 second")
      assert.strictEqual(releases, 1)
      assert.strictEqual(breaker.state("a"), "half-open")
      breaker.acquire("a", "m")!.record(refused)
      assert.strictEqual(breaker.state("a"), "open")
      for (let second = 0; second < 180; second++) yield* elapse("1 second")
      assert.isAtLeast(releases, 2)
      assert.strictEqual(breaker.state("a"), "half-open")
    }).pipe(Effect.provide(LocalBreaker.layer({ jitter: 0 }).pipe(Layer.provide(store))))
  })

  it.effect("a listener that throws does not stop the other listeners, the caller or the trial", () => {
    const errors: Array<unknown> = []
    const log = Logger.layer([Logger.make(({ message }) => void errors.push(message))])
    return Effect.gen(function* () {
      const breaker = yield* Breaker
      const heard: Array<string> = []
      breaker.onTransition(() => {
        throw new Error("a broken listener")
      })
      breaker.onTransition(({ key, to }) => void (key.model === undefined && heard.push(to)))
      fail(breaker, 5)
      yield* elapse("31 seconds")
      breaker.acquire("a", "m")!.record(success)
      yield* elapse("1 second")
      assert.deepStrictEqual(heard, ["open", "half-open", "closed"])
      assert.isNotEmpty(errors)
    }).pipe(Effect.provide(LocalBreaker.layer().pipe(Layer.provide([memory, log]))))
  })
})
