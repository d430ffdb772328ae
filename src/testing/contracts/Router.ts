/**
 * What every `Router` must do: never fail, answer once, and say what it did. And what a whole stack must do, whatever
 * its clients and backends do.
 *
 * @since 0.1.0
 */
import { Arbitrary, Effect, Fiber, Layer, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { Needs } from "../../layers/Standard.ts"
import type { Admission } from "../../services/Admission.ts"
import type { Coalescer } from "../../services/Coalescer.ts"
import type { Leases } from "../../services/Leases.ts"
import type { Relay } from "../../services/Relay.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import * as assert from "../assert.ts"
import { type Check, check, property } from "../checks.ts"
import * as Generators from "../generators.ts"
import { allAnswered, type ForkedCall, tracked } from "../outstanding.ts"
import { RecordingReply } from "../replies.ts"
import { request } from "../requests.ts"
import * as Routers from "../routers.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }

const routeOf = ({ endpoint, envelope, id, tenant }: RoutedRequest): string =>
  `route of ${id} (${endpoint.path}, model ${envelope.model}, tenant ${tenant})`

const routedBy = Effect.fnUntraced(function* (way: Routers.Way) {
  const reply = new RecordingReply()
  const asked = request("/api/chat", chat)
  const fiber = yield* Effect.forkChild(tracked(routeOf(asked), way(asked, reply)), { startImmediately: true })
  yield* TestClock.adjust("1 minute")
  return { reply, settled: yield* Fiber.join(fiber) }
})

/** One call for each way in which the router takes requests. */
const routed = Effect.gen(function* () {
  return yield* Effect.forEach(Routers.ways(yield* Router), routedBy)
})

/**
 * The router of `answers` answers a chat with the model `tiny-eos`. The router of `refuses` refuses it.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = (layers: {
  readonly answers: Layer.Layer<Router, unknown>
  readonly refuses: Layer.Layer<Router, unknown>
}): ReadonlyArray<Check> => [
  check("answers once, and settles with the status that the client saw", () =>
    Effect.gen(function* () {
      for (const { reply, settled } of yield* routed) {
        assert.strictEqual(reply.endings, 1)
        assert.strictEqual(settled.result, "answered")
        assert.strictEqual(settled.status, reply.status)
      }
      assert.strictEqual((yield* Router).active(), 0)
    }).pipe(Effect.provide(layers.answers))),

  check("a refusal is a value of the reply, never a failure of the effect", () =>
    Effect.gen(function* () {
      for (const { reply, settled } of yield* routed) {
        assert.lengthOf(reply.refusals, 1)
        assert.strictEqual(settled.result, "refused")
        assert.deepStrictEqual(settled.refusal, reply.refusals[0])
        assert.strictEqual(settled.status, reply.refusals[0]?.status)
        assert.strictEqual(reply.status, undefined)
      }
    }).pipe(Effect.provide(layers.refuses))),

  check("refuses everything once it drains", () =>
    Effect.gen(function* () {
      yield* tracked("drain", (yield* Router).drain)
      for (const { reply } of yield* routed) assert.strictEqual(reply.refusals[0]?.reason, "Draining")
    }).pipe(Effect.provide(layers.answers))),
]

type Step =
  | { readonly do: "ask"; readonly request: RoutedRequest }
  | { readonly do: "fault"; readonly fault: Generators.RandomFault }
  | { readonly do: "leave"; readonly which: number }
  | { readonly do: "wait"; readonly millis: number }

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
const ask = Arbitrary.map(
  Generators.requests(["tiny-eos", "tiny-b", "tiny-embed"]),
  (request): Step => ({ do: "ask", request }),
)
const fault = Arbitrary.map(Generators.randomFaults, (fault): Step => ({ do: "fault", fault }))
const leave = Arbitrary.map(int(30), (which): Step => ({ do: "leave", which }))
const wait = Arbitrary.map(
  Arbitrary.schema(Schema.Literals([0, 20, 1000, 7000, 40_000])),
  (millis): Step => ({ do: "wait", millis }),
)
const step = Arbitrary.flatMap(int(5), (kind) => [ask, ask, ask, fault, leave, wait][kind] ?? ask)

interface Asked extends ForkedCall {
  readonly id: string
  readonly reply: RecordingReply
  readonly fiber: Fiber.Fiber<Settled>
  left: boolean
}

/** Steps of test time that are longer, together, than an answer in one piece and its place in a queue may take. */
const patience = { steps: 400, each: "5 seconds" } as const

const play = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const fleet = yield* SimulatedFleet.SimulatedFleet
    const ways = Routers.ways(yield* Router)
    const asked: Array<Asked> = []
    yield* TestClock.adjust("1 second")
    for (const one of steps) {
      if (one.do === "ask") {
        const receivedAt = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        const reply = new RecordingReply()
        const id = `h${asked.length}`
        const sent = { ...one.request, id, receivedAt }
        const name = routeOf(sent)
        const way = ways[asked.length % ways.length]!
        const route = tracked(name, way(sent, reply))
        const fiber = yield* Effect.forkChild(route, { startImmediately: true })
        asked.push({ id, name, reply, fiber, left: false })
      } else if (one.do === "fault") Generators.applyFault(fleet, one.fault)
      else if (one.do === "wait") yield* TestClock.adjust(one.millis)
      else {
        const client = asked[one.which % Math.max(1, asked.length)]
        if (client !== undefined && client.fiber.pollUnsafe() === undefined) {
          client.left = true
          client.fiber.interruptUnsafe()
        }
      }
    }
    for (const server of fleet.servers.values()) {
      server.faults.clear()
      server.up()
    }
    yield* allAnswered(asked, TestClock.adjust(patience.each), patience.steps)
    yield* TestClock.adjust("1 second")
    for (const { fiber, id, left, reply } of asked) {
      const exit = yield* Fiber.await(fiber)
      if (left) assert.isAtMost(reply.endings, 1, id)
      else {
        assert.strictEqual(exit._tag, "Success", `${id} ended as ${exit}`)
        assert.strictEqual(reply.endings, 1, `${id} has ${reply.endings} answers`)
      }
    }
    yield* Routers.holdsNothing
  })

/**
 * `stack` is a whole router without its fleet, as `Standard.layer` makes one. It gets generated histories of
 * requests, of clients that leave and of backends that fail.
 *
 * @category contracts
 * @since 0.1.0
 */
export const histories = (
  stack: Layer.Layer<Router | Admission | Coalescer | Leases | Relay, unknown, Needs>,
  /** `runs` defaults to 100, `size` to 60. */
  options?: Arbitrary.CheckOptions,
): ReadonlyArray<Check> => [
  property(
    "every request has one answer, and nothing of it is left behind, whatever the history",
    { servers: Generators.fleets, steps: Arbitrary.array(step) },
    ({ servers, steps }) =>
      play(steps).pipe(
        Effect.provide(stack.pipe(Layer.provideMerge(Routers.place(servers)))),
        Random.withSeed("history"),
      ),
    { runs: 100, size: 60, seed: "router", ...options },
  ),
]
