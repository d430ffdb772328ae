/**
 * Two breakers over one real Redis, on a real clock: Redis has its own. Nothing here depends on how fast anything is.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Result, Schedule } from "effect"
import { CircuitBreaker, Redis } from "effect/persistence"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import * as NodeRedis from "../../../src/layers/sharing/NodeRedis.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { type Outcome, success } from "../../../src/services/Outcome.ts"
import * as TestRedis from "../../support/redis.ts"

const refused: Outcome = { kind: "failure", cause: "refused" }

const options: LocalBreaker.Options = {
  trip: CircuitBreaker.consecutive(3),
  openDuration: "300 millis",
  openDurationMax: "300 millis",
  syncInterval: "50 millis",
  jitter: 0,
}

type Replica = Breaker["Service"]

/** A router's breaker with a connection of its own. */
const apart = (url: string, more?: LocalBreaker.Options) =>
  Layer.build(
    LocalBreaker.layerRedis({ ...options, ...more }).pipe(
      Layer.provideMerge(NodeRedis.layer({ url, retryMillis: 100 })),
      Layer.fresh,
    ),
  )

/** The same, once it is connected. */
const replica = Effect.fnUntraced(function* (url: string, more?: LocalBreaker.Options) {
  const services = yield* apart(url, more)
  const ping = Context.get(services, Redis.Redis).send("PING")
  yield* Effect.orDie(Effect.retry(ping, { schedule: Schedule.spaced("20 millis"), times: 1000 }))
  return Context.get(services, Breaker)
})

const until = (what: string, holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.fail(what)).pipe(
    Effect.retry(Schedule.spaced("10 millis")),
    Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.die(new Error(`never: ${what}`)) }),
    Effect.orDie,
  )

const fail = (breaker: Replica): void => {
  while (breaker.state("a") === "closed") breaker.acquire("a", "m")!.record(refused)
}

/** Uses the key until it is seen to be open: only keys in use are compared. */
const sees = (breaker: Replica) =>
  until("the other replica sees the opening", () => {
    breaker.acquire("a", "m")?.record(success)
    return breaker.state("a") !== "closed"
  })

/** Redis answers both: what one replica opens, the other one sees. */
const together = Effect.fnUntraced(function* (one: Replica, other: Replica) {
  fail(one)
  yield* sees(other)
})

/** One of them is half-open, and the other one waits for it. */
const turns = Effect.fnUntraced(function* (one: Replica, other: Replica) {
  yield* until("one of them may try", () => [one, other].some((each) => each.state("a") === "half-open"))
  return one.state("a") === "half-open" ? ([one, other] as const) : ([other, one] as const)
})

describe("LocalBreaker over Redis", () => {
  if (TestRedis.absent !== "") {
    console.log(`LocalBreaker over Redis: skipped: ${TestRedis.absent}`)
    it.skip(`needs a Redis: ${TestRedis.absent}`, () => {})
    return
  }

  it.live(
    "a breaker that opens in one router opens in the other, and only one of them makes the trial",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestRedis.make
        const one = yield* replica(url)
        const other = yield* replica(url)
        for (let round = 0; round < 3; round++) {
          yield* together(one, other)
          const [lucky, waiting] = yield* turns(one, other)
          const trial = lucky.acquire("a", "m")!
          assert.isTrue(trial.trial)
          assert.isUndefined(lucky.acquire("a", "m"))
          // Longer than the opening and the pause between two questions of the other replica.
          for (let i = 0; i < 60; i++) {
            assert.isUndefined(waiting.acquire("a", "m"), "a second trial")
            yield* Effect.sleep("25 millis")
          }
          if (round === 0) {
            trial.record(refused)
            assert.strictEqual(lucky.state("a"), "open")
            const [next] = yield* turns(one, other)
            next.acquire("a", "m")!.record(success)
          } else trial.record(success)
          yield* until("both are closed", () => {
            // A replica that asks after the store has forgotten the opening closes by a trial of its own.
            if (waiting.state("a") === "half-open") waiting.acquire("a", "m")?.record(success)
            if (lucky.state("a") === "half-open") lucky.acquire("a", "m")?.record(success)
            return [one, other].every((each) => each.state("a") === "closed")
          })
        }
      }),
    120_000,
  )

  it.live("an embedder that fails does not stop a chat model, in any router", () =>
    Effect.gen(function* () {
      const { url } = yield* TestRedis.make
      const one = yield* replica(url)
      const other = yield* replica(url)
      while (one.state("a", "embedder") === "closed") {
        one.acquire("a", "embedder")!.record({ kind: "failure", cause: "http-500" })
      }
      yield* until("the other replica sees it", () => {
        other.acquire("a", "embedder")?.record(success)
        return other.state("a", "embedder") !== "closed"
      })
      assert.isDefined(one.acquire("a", "chat"))
      assert.isDefined(other.acquire("a", "chat"))
    }), 60_000)

  it.live(
    "without Redis each replica decides alone and logs it once; with Redis again they share their transitions",
    () => {
      const said: Array<string> = []
      const listening = Logger.make(({ message }) => void said.push(String(message)))
      return Effect.gen(function* () {
        const redis = yield* TestRedis.make
        const one = yield* replica(redis.url, { prefix: "one-and-other:" })
        const other = yield* replica(redis.url, { prefix: "one-and-other:" })
        yield* together(one, other)
        yield* redis.kill
        // Each becomes half-open by its own clock, and makes a trial of its own.
        for (const each of [one, other]) {
          yield* until("it may try", () => each.state("a") === "half-open")
          each.acquire("a", "m")!.record(refused)
          assert.strictEqual(each.state("a"), "open")
          yield* until("it may try again", () => each.state("a") === "half-open")
          each.acquire("a", "m")!.record(success)
          assert.strictEqual(each.state("a"), "closed")
        }
        assert.deepStrictEqual(said.map((line) => line.includes("decides alone")), [true, true])
        yield* redis.restart
        // The first openings may still be decided alone, until the connections are back.
        const sawIt = Effect.gen(function* () {
          fail(one)
          let seen = false
          yield* until("both are closed again", () => {
            other.acquire("a", "m")?.record(success)
            seen ||= other.state("a") === "open"
            if (seen || one.state("a") !== "open") one.acquire("a", "m")?.record(success)
            return [one, other].every((each) => each.state("a") === "closed")
          })
          return seen
        })
        const seen = yield* Effect.repeat(sawIt, { until: (seen) => seen, times: 50 })
        assert.isTrue(seen, "the replicas never shared a transition again")
      }).pipe(Effect.provide(Logger.layer([listening])))
    },
    120_000,
  )

  it.live("a router starts and decides without any Redis", () =>
    Effect.gen(function* () {
      // A port on which no server can listen.
      const one = Context.get(yield* apart("redis://127.0.0.1:1"), Breaker)
      fail(one)
      assert.strictEqual(one.state("a"), "open")
      yield* until("it may try", () => one.state("a") === "half-open")
      one.acquire("a", "m")!.record(success)
      assert.strictEqual(one.state("a"), "closed")
    }).pipe(Effect.provide(Logger.layer([]))), 60_000)

  it.live("commands fail while there is no connection, and work once there is one", () =>
    Effect.gen(function* () {
      const server = yield* TestRedis.make
      const redis = Context.get(
        yield* Layer.build(NodeRedis.layer({ url: server.url, retryMillis: 100 })),
        Redis.Redis,
      )
      const ping = Effect.result(redis.send("PING"))
      const connected = Effect.repeat(ping, { schedule: Schedule.spaced("20 millis"), until: Result.isSuccess })
      yield* connected
      yield* server.kill
      yield* Effect.repeat(ping, { schedule: Schedule.spaced("20 millis"), until: Result.isFailure })
      yield* server.restart
      yield* connected
    }), 60_000)
})
