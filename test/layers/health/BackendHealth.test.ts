import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as NoopBackendHealth from "../../../src/layers/health/NoopBackendHealth.ts"
import * as PollingBackendHealth from "../../../src/layers/health/PollingBackendHealth.ts"
import { BackendHealth } from "../../../src/services/BackendHealth.ts"
import { Fleet, type Member } from "../../../src/services/Fleet.ts"
import type { Outcome } from "../../../src/services/Outcome.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"

import * as BackendHealthContract from "../../../src/testing/contracts/BackendHealth.ts"
import { RecordingSink } from "../../../src/testing/sinks.ts"
import { holds } from "../../support/checks.ts"
import * as FakeOllamaApi from "../../support/fakeOllamaApi.ts"

const { FakeServers } = FakeOllamaApi
const fleet = Layer.orDie(StaticFleet.layer([{ url: "http://a", id: "a" }, { url: "http://b", id: "b" }]))
const silent = Layer.succeed(Transport, { send: () => {} })
const polling = PollingBackendHealth.layer().pipe(
  Layer.provide(silent),
  Layer.provideMerge(Layer.merge(FakeOllamaApi.layer, fleet)),
)

/** Health over a transport on which `rate` bytes a second come from backend `a`. */
const streaming = (rate: { a: number }) =>
  PollingBackendHealth.layer().pipe(
    Layer.provide(Layer.effect(
      Transport,
      Effect.map(Clock.Clock, (clock) => {
        let [bytes, at] = [0, 0]
        return Transport.of({
          send: () => {},
          received: ({ id }) => {
            const now = clock.currentTimeMillisUnsafe()
            bytes += (now - at) * rate.a / 1000
            at = now
            return id === "a" ? bytes : 0
          },
        })
      }),
    )),
    Layer.provideMerge(Layer.merge(FakeOllamaApi.layer, fleet)),
  )
const up = (id: string, value: boolean) =>
  Effect.map(FakeServers, ({ server }) => {
    server(id).up = value
  })

holds(
  "PollingBackendHealth is a BackendHealth",
  BackendHealthContract.contract(polling, {
    healthy: Effect.andThen(up("a", true), elapse("10 seconds")),
    unhealthy: Effect.andThen(up("a", false), elapse("10 seconds")),
  }),
)
holds(
  "MockBackendHealth is a BackendHealth",
  BackendHealthContract.contract(MockBackendHealth.layer(), {
    healthy: Effect.map(MockBackendHealth.MockHealth, ({ set }) => set("a", "healthy")),
    unhealthy: Effect.map(MockBackendHealth.MockHealth, ({ set }) => set("a", "unhealthy", "says the test")),
  }),
)

it.effect("NoopBackendHealth calls everything healthy", () =>
  Effect.gen(function* () {
    const health = yield* BackendHealth
    health.record("a", { kind: "failure", cause: "refused" })
    yield* health.check
    assert.strictEqual(health.status("a").state, "healthy")
  }).pipe(Effect.provide(NoopBackendHealth.layer)))

const failed = (cause: string): Outcome => ({ kind: "failure", cause })

describe("PollingBackendHealth", () => {
  it.effect("is unhealthy after two failed probes, not after one, and healthy after one good probe", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      yield* TestClock.adjust("1 second")
      assert.strictEqual(health.status("a").state, "healthy")
      assert.strictEqual(health.status("a").version, "0.33.0")
      yield* up("a", false)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(health.status("a").state, "healthy")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(health.status("a").state, "unhealthy")
      assert.match(health.status("a").reason, /refused/)
      assert.strictEqual(health.status("a").since, 10_000)
      assert.strictEqual(health.status("b").state, "healthy")
      yield* up("a", true)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(polling)))

  it.effect("a probe without an answer within the limit has failed, and does not delay other probes", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      server("a").delay = 3_600_000
      yield* elapse("16 seconds")
      assert.strictEqual(health.status("a").state, "unhealthy")
      assert.match(health.status("a").reason, /within 5s/)
      assert.strictEqual(health.status("b").state, "healthy")
      assert.strictEqual(server("b").calls.length, 4)
    }).pipe(Effect.provide(polling)))

  it.effect("a probe without an answer does not count while bytes of answers arrive, and does when they stop", () => {
    const rate = { a: 30 }
    return Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      yield* TestClock.adjust("1 second")
      for (const id of ["a", "b"]) server(id).delay = 3_600_000
      yield* elapse("2 minutes")
      assert.strictEqual(health.status("a").state, "healthy")
      assert.strictEqual(health.status("b").state, "unhealthy", "the bytes came from another backend")
      rate.a = 0
      yield* elapse("16 seconds")
      assert.strictEqual(health.status("a").state, "unhealthy")
      // Bytes do not make it healthy: only a good probe does.
      rate.a = 30
      yield* elapse("30 seconds")
      assert.strictEqual(health.status("a").state, "unhealthy")
      server("a").delay = 0
      yield* elapse("11 seconds")
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(streaming(rate)))
  })

  it.effect("a simulated backend that is slow to answer probes is healthy while it streams, and not when it is silent", () => {
    const servers = SimulatedFleet.layer({ "http://a": { decodeRate: 2 }, "http://b": { decodeRate: 2 } })
    const layer = PollingBackendHealth.layer().pipe(
      Layer.provideMerge(Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer, fleet)),
      Layer.provideMerge(servers),
    )
    return Effect.gen(function* () {
      const health = yield* BackendHealth
      const { get } = yield* SimulatedFleet.SimulatedFleet
      const { send } = yield* Transport
      yield* elapse("1 second")
      for (const url of ["http://a", "http://b"]) {
        get(url).script(SimulatedFleet.Fault.slow("20 seconds"), { path: "/api/version" })
      }
      const sink = new RecordingSink()
      const body = new TextEncoder().encode(`{"model":"tiny-loop","prompt":"x","options":{"num_predict":60}}`)
      const [{ backend }] = (yield* Fleet).members() as readonly [Member]
      send(backend, { method: "POST", path: "/api/generate", headers: [], body }, sink)
      yield* elapse("25 seconds")
      assert.isAbove(sink.chunks.length, 20)
      assert.isFalse(sink.ended)
      assert.strictEqual(health.status("a").state, "healthy")
      assert.strictEqual(health.status("b").state, "unhealthy")
      yield* elapse("25 seconds")
      assert.isTrue(sink.ended)
      assert.strictEqual(health.status("a").state, "unhealthy")
    }).pipe(Effect.provide(layer))
  })

  it.effect("two failed probes with a sign of life between them are not two in a row", () => {
    const rate = { a: 0 }
    return Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      yield* TestClock.adjust("1 second")
      server("a").delay = 3_600_000
      // One probe ends in each of these times.
      for (const next of [0, 30, 0, 30, 0]) {
        rate.a = next
        yield* elapse("5 seconds")
      }
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(streaming(rate)))
  })

  it.effect("probes that are refused count, whatever still arrives on old connections", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      yield* TestClock.adjust("1 second")
      yield* up("a", false)
      yield* elapse("11 seconds")
      assert.strictEqual(health.status("a").state, "unhealthy")
    }).pipe(Effect.provide(streaming({ a: 30 }))))

  it.effect("a refused connection makes a backend unhealthy at once and causes a probe at once", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      yield* TestClock.adjust("1 second")
      server("a").up = false
      health.record("a", failed("refused"))
      assert.strictEqual(health.status("a").state, "unhealthy")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(server("a").calls.length, 2)
      for (let i = 0; i < 100; i++) health.record("a", failed("refused"))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(server("a").calls.length, 2, "one probe for many refusals")
      server("a").up = true
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(polling)))

  it.effect("a backend whose queue of connections was full for a moment is healthy again at once", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      yield* TestClock.adjust("1 second")
      health.record("a", failed("refused"))
      assert.strictEqual(health.status("a").state, "unhealthy")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(polling)))

  it.effect("a probe that began before a refusal does not make the backend healthy", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      server("a").delay = 2000
      yield* TestClock.adjust("1 second")
      health.record("a", failed("refused"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(health.status("a").state, "unhealthy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(polling)))

  it.effect("two resets cause a probe; broken answers do not", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      yield* TestClock.adjust("1 second")
      for (const cause of ["http-500", "truncated", "first-byte-timeout", "reset", "http-500", "reset"]) {
        health.record("a", failed(cause))
      }
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(server("a").calls.length, 1)
      health.record("a", failed("reset"))
      health.record("a", failed("reset"))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(server("a").calls.length, 2)
      assert.strictEqual(health.status("a").state, "healthy")
    }).pipe(Effect.provide(polling)))

  it.effect("a listener that throws stops neither the probes nor the probe after a refusal", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const heard: Array<string> = []
      health.onChange(() => {
        throw new Error("a broken listener")
      })
      health.onChange(({ backend, status }) => void heard.push(`${backend} ${status.state}`))
      yield* TestClock.adjust("1 second")
      health.record("a", failed("refused"))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(heard.toSorted(), ["a healthy", "a unhealthy"])
    }).pipe(Effect.provide(polling)))

  it.effect("check probes all backends at the same time", () =>
    Effect.gen(function* () {
      const health = yield* BackendHealth
      const { server } = yield* FakeServers
      yield* health.check
      assert.strictEqual(health.status("a").state, "healthy")
      assert.isAtLeast(server("b").calls.length, 1)
    }).pipe(Effect.provide(polling)))

  it.effect("watches backends that join and forgets those that leave", () =>
    Effect.gen(function* () {
      const member = (id: string): Member => ({
        state: "active",
        backend: { id, url: `http://${id}`, labels: {}, parallelism: 1, streamsMax: 8, devices: [], weight: 1 },
      })
      const ref = yield* SubscriptionRef.make<ReadonlyArray<Member>>([member("a")])
      const changing = Layer.succeed(Fleet, {
        members: () => SubscriptionRef.getUnsafe(ref),
        changes: SubscriptionRef.changes(ref),
        setState: () => Effect.void,
      })
      yield* Effect.gen(function* () {
        const health = yield* BackendHealth
        const { server } = yield* FakeServers
        yield* TestClock.adjust("1 second")
        assert.strictEqual(health.status("b").state, "unknown")
        yield* SubscriptionRef.set(ref, [member("b")])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(health.status("b").state, "healthy")
        assert.strictEqual(health.status("a").state, "unknown")
        const before = server("a").calls.length
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(server("a").calls.length, before)
      }).pipe(
        Effect.provide(
          PollingBackendHealth.layer().pipe(
            Layer.provide(silent),
            Layer.provideMerge(Layer.merge(FakeOllamaApi.layer, changing)),
          ),
        ),
      )
    }))
})
