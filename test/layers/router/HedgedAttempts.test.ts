/** Hedging over the simulated fleet: what is hedged, where, and that exactly one attempt is relayed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as WatchedRelay from "../../../src/layers/relay/WatchedRelay.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../../src/plugins/retry/HedgeRetry.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { Router, type Settled } from "../../../src/services/Router.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { idle, nothing, request, url } from "../../support/routers.ts"
import { bytes, RecordingReply, text } from "../../support/sinks.ts"
import { runs } from "../../support/runs.ts"

const histories = runs(150, 1000)

const { Fault } = SimulatedFleet
type AnyFault = typeof Fault.hang
const model = "tiny-eos"
const body = { model, prompt: "hello", options: { num_predict: 5 } }

/** A reply that records, when its answer begins, whether another attempt is still running. */
class WatchfulReply extends RecordingReply {
  /** Number of running attempts besides the one that answers. */
  others = 0
  private readonly underWay: () => number
  constructor(underWay: () => number) {
    super()
    this.underWay = underWay
  }
  override data(chunk: Uint8Array): void {
    this.others = Math.max(this.others, this.underWay() - 1)
    super.data(chunk)
  }
}

/** The calls of one backend, and its answers. */
interface Sent {
  readonly id: string
  readonly backend: string
  readonly chunks: Array<Uint8Array>
  /** Whether the call is still running: it has neither ended nor been aborted. */
  open: boolean
}

/** Makes each backend write its own name for every word, so that a test sees when an answer is mixed from two. */
const named = (chunk: Uint8Array, backend: string): Uint8Array =>
  bytes(text([chunk]).replaceAll("word", backend.repeat(4)))

const tapped = (sent: Array<Sent>) =>
  Layer.effect(
    Transport,
    Effect.map(Transport, (inner) => ({
      send: (backend, call, to) => {
        const id = call.headers[call.headers.indexOf("X-Request-Id") + 1]!
        const one: Sent = { id, backend: backend.id, chunks: [], open: true }
        sent.push(one)
        inner.send(backend, call, {
          open: (upstream) =>
            to.open({
              pause: () => upstream.pause(),
              resume: () => upstream.resume(),
              abort: () => {
                one.open = false
                upstream.abort()
              },
            }),
          head: (status, raw) => to.head(status, raw),
          data: (chunk) => {
            const own = named(chunk, backend.id)
            one.chunks.push(own)
            to.data(own)
          },
          end: () => {
            one.open = false
            to.end()
          },
          fail: (error) => {
            one.open = false
            to.fail(error)
          },
        })
      },
    })),
  )

const ids = ["a", "b", "c"]
const server = {
  decodeRate: 100,
  overhead: "10 millis",
  loadTime: "50 millis",
  parallelism: 2,
} satisfies SimulatedFleet.ServerOptions

/** Short times keep the test fast: the router's sweepers run for each 25 ms of the clock. */
const world = (
  sent: Array<Sent>,
  budget: Parameters<typeof FailoverRetry.make>[0] = {},
  limits: WatchedRelay.Options = { firstByteMillis: 500, gapMillis: 300 },
) =>
  Standard.layer({
    events: SynchronousRouterEvents.layer,
    relay: WatchedRelay.layer(limits),
    router: PipelineRouter.layer({ retry: HedgeRetry.make(FailoverRetry.make(budget), { samplesMin: 5 }) }),
  }).pipe(
    Layer.provideMerge(tapped(sent)),
    Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
    Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({ url: url(id), id, parallelism: 2 })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), server])))),
  )

/** Loads the model on these backends, and runs requests until hedging knows enough. */
const warm = Effect.fnUntraced(function* (backends: ReadonlyArray<string>) {
  const catalog = yield* ModelCatalog
  const residency = yield* Residency
  const members = (yield* Fleet).members().filter(({ backend }) => backends.includes(backend.id))
  yield* TestClock.adjust("100 millis")
  const found = yield* Effect.forkChild(catalog.find(model), { startImmediately: true })
  yield* ended([found])
  const known = yield* Effect.orDie(Fiber.join(found))
  const loads = yield* Effect.forEach(
    members,
    ({ backend }) => Effect.forkChild(residency.load(backend, known), { startImmediately: true }),
  )
  yield* ended(loads)
  for (const load of loads) yield* Effect.orDie(Fiber.join(load))
  const slots = backends.length * server.parallelism
  for (let seen = 0; seen < 6; seen += slots) {
    const started = yield* Effect.forEach(Array.from({ length: slots }), () => start())
    yield* ended(started.map(({ fiber }) => fiber))
  }
})

/** Moves the clock until all have ended, and no further: the sweepers are what makes a history slow. */
const ended = Effect.fnUntraced(function* (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) {
  for (let i = 0; i < 400 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); i++) {
    yield* TestClock.adjust("50 millis")
  }
  assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() !== undefined), "twenty seconds were not enough")
})

interface Started {
  readonly id: string
  readonly reply: WatchfulReply
  readonly fiber: Fiber.Fiber<Settled>
}

const start = Effect.fnUntraced(function* (sent: ReadonlyArray<Sent> = []) {
  const router = yield* Router
  const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  const asked = request("/api/generate", body, now)
  const reply = new WatchfulReply(() => sent.filter(({ id, open }) => open && id === asked.id).length)
  const fiber = yield* Effect.forkChild(router.route(asked, reply), { startImmediately: true })
  return { id: asked.id, reply, fiber } satisfies Started
})

const results = Effect.map(
  RouterEvents,
  (events) => events.recent(10_000).flatMap((event) => event._tag === "Hedged" ? [event.result] : []).reverse(),
)

const fault = (backend: string, one: AnyFault, times = 1) =>
  Effect.map(
    SimulatedFleet.SimulatedFleet,
    (fleet) => fleet.get(url(backend)).faults.set(one, { path: "/api/generate", times }),
  )

const everywhere = (one: AnyFault, backends: ReadonlyArray<string> = ids) =>
  Effect.forEach(backends, (backend) => fault(backend, one), { discard: true })

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Play = Schema.Struct({
  faults: Schema.Tuple([upTo(9), upTo(9), upTo(9)]),
  leaves: Schema.Boolean,
  pause: Schema.Literals([0, 20, 60, 90, 130, 200, 400]),
})

/** How a backend behaves on its next call. */
const kinds: ReadonlyArray<AnyFault> = [
  Fault.slow("0 millis"),
  Fault.slow("50 millis"),
  Fault.slow("100 millis"),
  Fault.slow("150 millis"),
  Fault.slow("400 millis"),
  Fault.hang,
  Fault.reset(),
  Fault.busy,
  Fault.crash(2),
  Fault.internal,
]

describe("hedging", () => {
  it.effect("starts a second attempt beside a slow one, relays the first that answers, and aborts the other", () => {
    const sent: Array<Sent> = []
    return Effect.gen(function* () {
      yield* warm(["a", "b"])
      assert.deepStrictEqual(yield* results, [])
      yield* everywhere(Fault.slow("60 seconds"), ["a", "b"])
      const { fiber, id, reply } = yield* start()
      const [first] = sent.filter((one) => one.id === id)
      // Only the backend of the first attempt is slow.
      const other = first!.backend === "a" ? "b" : "a"
      ;(yield* SimulatedFleet.SimulatedFleet).get(url(other)).faults.clear()
      for (let i = 0; i < 300 && reply.text === ""; i++) yield* TestClock.adjust("10 millis")
      const { count, oldest: [shown] } = (yield* Router).underWay!(10)
      assert.deepStrictEqual([count, shown?.backend], [1, other], "operators see the one that answers")
      yield* TestClock.adjust("3 seconds")
      const settled = yield* Fiber.join(fiber)
      assert.strictEqual(settled.backend, other)
      assert.strictEqual(settled.attempts, 2)
      assert.strictEqual(reply.endings, 1)
      const attempts = sent.filter((one) => one.id === id)
      assert.deepStrictEqual(attempts.map(({ backend }) => backend), [first!.backend, other])
      assert.strictEqual(text(attempts[1]!.chunks), reply.text)
      assert.deepStrictEqual(yield* results, ["won"])
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(world(sent)), Random.withSeed("hedge"))
  })

  it.effect("hedges nothing before it knows enough, and never on a backend without the model in memory", () => {
    const sent: Array<Sent> = []
    return Effect.gen(function* () {
      yield* warm(["a"])
      yield* fault("a", Fault.slow("400 millis"))
      const { fiber, id } = yield* start()
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).attempts, 1)
      assert.lengthOf(sent.filter((one) => one.id === id), 1)
      assert.deepStrictEqual(yield* results, ["nowhere"])
      const residency = yield* Residency
      for (const id of ["b", "c"]) assert.lengthOf(residency.list(id), 0)
    }).pipe(Effect.provide(world(sent)), Random.withSeed("hedge"))
  })

  it.effect("spends the retry budget, and no more than it", () => {
    const sent: Array<Sent> = []
    return Effect.gen(function* () {
      yield* warm(["a", "b"])
      yield* TestClock.adjust("11 seconds")
      yield* Effect.forEach(["a", "b"], (backend) => fault(backend, Fault.slow("5 seconds"), 99), { discard: true })
      // Each request adds a tenth of a retry, for ten seconds.
      for (let i = 0; i < 12; i++) {
        const { fiber } = yield* start()
        yield* TestClock.adjust("400 millis")
        fiber.interruptUnsafe()
        yield* TestClock.adjust("1 millis")
      }
      const seen = yield* results
      assert.strictEqual(seen.filter((result) => result === "over-budget").length, 11)
      assert.lengthOf(seen, 12)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(world(sent, { ratio: 0.1, perSecond: 0 })), Random.withSeed("hedge"))
  })

  /** What the backend of the first attempt does, and what that of the second does. */
  const overdue: Record<string, readonly [AnyFault, AnyFault]> = {
    "both are silent": [Fault.hang, Fault.hang],
    "both are slow": [Fault.slow("60 seconds"), Fault.slow("60 seconds")],
    "the second fails and the first is silent": [Fault.hang, Fault.reset()],
    "the second answers and never ends": [Fault.hang, Fault.stall(2)],
  }
  for (const [name, [one, other]] of Object.entries(overdue)) {
    it.effect(`a limit of the whole answer ends both attempts with one answer: ${name}`, () => {
      const sent: Array<Sent> = []
      return Effect.gen(function* () {
        yield* warm(["a", "b"])
        yield* everywhere(one, ["a", "b"])
        const { fiber, id, reply } = yield* start()
        const [first] = sent.filter((call) => call.id === id)
        const second = first!.backend === "a" ? "b" : "a"
        const { get } = yield* SimulatedFleet.SimulatedFleet
        get(url(second)).faults.clear()
        yield* fault(second, other)
        yield* TestClock.adjust("3 seconds")
        const settled = yield* Fiber.join(fiber)
        assert.strictEqual(reply.endings, 1)
        // As with one attempt: 504, or an error in the stream where an answer has begun.
        if (reply.text === "") {
          assert.strictEqual(settled.status, 504)
          assert.strictEqual(reply.refusals[0]?.reason, "DeadlineExceeded")
        } else assert.strictEqual(settled.status, 200)
        assert.strictEqual(settled.outcome?.cause, "total-timeout")
        assert.isFalse(sent.some((call) => call.open), "an attempt goes on")
        assert.deepStrictEqual(yield* idle, nothing)
        // The backends have their slots back.
        const { view } = yield* Leases
        assert.deepStrictEqual(view.backends.map(({ streams }) => streams), [0, 0, 0])
      }).pipe(
        Effect.provide(world(sent, {}, { firstByteMillis: 5000, gapMillis: 5000, totalMillis: 1000 })),
        Random.withSeed("overdue"),
      )
    })
  }

  const seen = { won: 0, lost: 0, failed: 0, canceled: 0, nowhere: 0, "over-budget": 0 }

  it.effect.prop(
    "invariant 5: relays exactly one attempt, whatever each does and whenever the client leaves",
    { plays: Schema.Array(Play).check(Schema.isMinLength(1), Schema.isMaxLength(3)) },
    ({ plays }) => {
      const sent: Array<Sent> = []
      return Effect.gen(function* () {
        yield* warm(ids)
        const asked: Array<Started & { left: boolean }> = []
        for (const { faults, leaves, pause } of plays) {
          yield* Effect.forEach(ids, (id, i) => fault(id, kinds[faults[i]!]!), { discard: true })
          const one = { ...yield* start(sent), left: false }
          asked.push(one)
          yield* TestClock.adjust(pause)
          if (leaves && one.fiber.pollUnsafe() === undefined) {
            one.left = true
            one.fiber.interruptUnsafe()
          }
        }
        yield* ended(asked.map(({ fiber }) => fiber))
        for (const { fiber, id, left, reply } of asked) {
          yield* Fiber.await(fiber)
          if (left) assert.isAtMost(reply.endings, 1)
          else assert.strictEqual(reply.endings, 1, `${id} has ${reply.endings} answers`)
          const attempts = sent.filter((one) => one.id === id)
          assert.isAtMost(attempts.length, 3)
          assert.strictEqual(new Set(attempts.map(({ backend }) => backend)).size, attempts.length, "once to each")
          const from = attempts.filter(({ chunks }) => reply.text !== "" && text(chunks).startsWith(reply.text))
          if (reply.text !== "") assert.isAtLeast(from.length, 1, `${id}: not one backend's answer`)
          if (/aaaa|bbbb|cccc/.test(reply.text)) assert.lengthOf(from, 1, `${id}: whose answer is it?`)
          assert.strictEqual(reply.others, 0, `${id}: another attempt goes on beside the one that is relayed`)
          assert.isFalse(attempts.some(({ open }) => open), `${id}: an attempt outlives its request`)
        }
        assert.deepStrictEqual(yield* idle, nothing)
        for (const result of yield* results) seen[result]++
      }).pipe(Effect.provide(world(sent)), Random.withSeed("hedges"), Effect.provide(TestClock.layer()))
    },
    { arbitrary: { runs: histories, size: 30, seed: "hedges" }, timeout: 120_000 },
  )

  it("the histories reached every kind of end", () => {
    for (const result of ["won", "lost", "failed", "canceled"] as const) {
      assert.isAbove(seen[result], histories / 75, JSON.stringify(seen))
    }
  })
})
