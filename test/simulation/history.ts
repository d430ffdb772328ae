/** Plays a generated history with the real layers over a simulated fleet, and keeps the trace. */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Layer, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as IndependentCoalescer from "../../src/layers/coalescing/IndependentCoalescer.ts"
import * as SynchronousRouterEvents from "../../src/layers/events/SynchronousRouterEvents.ts"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as Standard from "../../src/layers/Standard.ts"
import { Admission } from "../../src/services/Admission.ts"
import { Breaker } from "../../src/services/Breaker.ts"
import { Router, type Settled } from "../../src/services/Router.ts"
import { RouterEvents } from "../../src/services/RouterEvents.ts"
import { type ByteSink, Transport } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import { ways } from "../../src/testing/routers.ts"
import { idle, nothing, request, url } from "../support/routers.ts"
import { RecordingReply, text } from "../support/sinks.ts"

const { Fault } = SimulatedFleet

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** One event of a history. */
export const Step = Schema.Union([
  Schema.Struct({ do: Schema.Literal("ask"), call: small(5) }),
  // Listed twice to make it more likely: a burst of requests finds more than a burst of faults.
  Schema.Struct({ do: Schema.Literal("ask"), call: small(1) }),
  Schema.Struct({ do: Schema.Literal("leave"), which: small(30) }),
  Schema.Struct({ do: Schema.Literal("wait"), millis: Schema.Literals([0, 20, 100, 1000, 7000, 40_000]) }),
  Schema.Struct({ do: Schema.Literal("fault"), server: small(2), kind: small(9), times: Schema.Literals([1, 3]) }),
  Schema.Struct({ do: Schema.Literal("down"), server: small(2) }),
  Schema.Struct({ do: Schema.Literal("up"), server: small(2) }),
])
export type Step = typeof Step.Type

const calls: ReadonlyArray<readonly [string, object]> = [
  ["/api/chat", { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }],
  ["/api/generate", { model: "tiny-b", prompt: "x", options: { num_predict: 5 } }],
  ["/api/generate", { model: "tiny-eos", prompt: "x", stream: false }],
  ["/v1/chat/completions", {
    model: "tiny-eos",
    stream: true,
    max_tokens: 9,
    messages: [{ role: "user", content: "a" }],
  }],
  ["/v1/messages", { model: "tiny-eos", stream: true, max_tokens: 4, messages: [{ role: "user", content: "a" }] }],
  ["/api/embed", { model: "tiny-embed", input: "x" }],
]

const faults = [
  Fault.refuse,
  Fault.reset(),
  Fault.hang,
  Fault.stall(2),
  Fault.crash(2),
  Fault.truncate(2),
  Fault.internal,
  Fault.busy,
  Fault.tooMany,
  Fault.garbage,
]

/** The bytes that one attempt of one request delivered. */
interface Delivered {
  readonly backend: string
  readonly chunks: Array<Uint8Array>
  status: number
}

/** Records the bytes that each backend really sent, by request id. */
const tapped = (seen: Map<string, Array<Delivered>>) =>
  Layer.effect(
    Transport,
    Effect.map(Transport, (inner) => ({
      send: (backend, call, to) => {
        const id = call.headers[call.headers.indexOf("X-Request-Id") + 1]!
        const attempt: Delivered = { backend: backend.id, chunks: [], status: 0 }
        const attempts = seen.get(id)
        if (attempts === undefined) seen.set(id, [attempt])
        else attempts.push(attempt)
        const sink: ByteSink = {
          open: (upstream) => to.open(upstream),
          head: (status, raw) => {
            attempt.status = status
            to.head(status, raw)
          },
          data: (chunk) => {
            attempt.chunks.push(chunk)
            to.data(chunk)
          },
          end: () => to.end(),
          fail: (error) => to.fail(error),
        }
        inner.send(backend, call, sink)
      },
    })),
  )

const ids = ["a", "b", "c"]
const server: SimulatedFleet.ServerOptions = {
  decodeRate: 100,
  loadTime: "2 seconds",
  overhead: "5 millis",
  parallelism: 2,
}
const queueCapacity = 6

const stack = (seen: Map<string, Array<Delivered>>) =>
  Standard.layer({
    events: SynchronousRouterEvents.layer,
    // The checks below follow each request to its own upstream calls. Shared calls are tested by other histories.
    coalescer: IndependentCoalescer.layer,
    admission: BoundedAdmission.layer({ queueCapacity, queueMillis: 10_000 }),
  }).pipe(
    Layer.provideMerge(tapped(seen)),
    Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
    Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({ url: url(id), id, parallelism: 2 })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), server])))),
  )

interface Asked {
  readonly id: string
  readonly reply: RecordingReply
  readonly fiber: Fiber.Fiber<Settled>
  left: boolean
}

/** Plays a history, checks the invariants while it runs, and returns the trace. */
export const play = (steps: ReadonlyArray<Step>) => {
  const seen = new Map<string, Array<Delivered>>()
  const asked: Array<Asked> = []
  return Effect.gen(function* () {
    const admission = yield* Admission
    const breaker = yield* Breaker
    const events = yield* RouterEvents
    const fleet = yield* SimulatedFleet.SimulatedFleet
    const routes = ways(yield* Router)
    // Invariant 6: between the transition to open and the next one, nothing is sent. A half-open breaker lets one
    // request through.
    const transitions: Array<string> = []
    breaker.onTransition((one) => transitions.push(`${one.key.backend}/${one.key.model ?? ""} ${one.from}>${one.to}`))
    yield* TestClock.adjust("1 second")

    for (const step of steps) {
      if (step.do === "ask") {
        const [path, body] = calls[step.call]!
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        const reply = new RecordingReply()
        const id = `h${asked.length}`
        const way = routes[asked.length % routes.length]!
        const fiber = yield* Effect.forkChild(way({ ...request(path, body, now), id }, reply), {
          startImmediately: true,
        })
        asked.push({ id, reply, fiber, left: false })
      } else if (step.do === "leave") {
        const one = asked[step.which % Math.max(1, asked.length)]
        if (one !== undefined && one.fiber.pollUnsafe() === undefined) {
          one.left = true
          one.fiber.interruptUnsafe()
        }
      } else if (step.do === "wait") yield* TestClock.adjust(step.millis)
      else {
        const target = fleet.get(url(ids[step.server]!))
        if (step.do === "fault") {
          target.faults.set(faults[step.kind]!, { path: step.times === 1 ? "*" : "/api/chat", times: step.times })
        } else if (step.do === "down") target.down()
        else target.up()
      }
      // Invariant 4: the bounds of the queues.
      for (const queue of admission.queues()) assert.isAtMost(queue.depth, queueCapacity)
    }

    for (const id of ids) {
      fleet.get(url(id)).faults.clear()
      fleet.get(url(id)).up()
    }
    // Long enough for the longest limit (an answer that does not stream), but no longer than needed.
    for (let i = 0; i < 160 && asked.some(({ fiber }) => fiber.pollUnsafe() === undefined); i++) {
      yield* TestClock.adjust("5 seconds")
    }
    yield* TestClock.adjust("1 second")
    yield* Effect.forEach(asked, ({ fiber }) => Fiber.await(fiber))

    check(asked, seen)
    assert.deepStrictEqual(yield* idle, nothing)
    const settled = events.recent(10_000).filter((event) => event._tag === "RequestSettled")
    assert.lengthOf(settled, asked.length)
    return {
      transitions,
      events: events.recent(10_000).map((event) => JSON.stringify(event)),
      replies: asked.map(({ reply }) => `${reply.status} ${reply.text} ${JSON.stringify(reply.refusals)}`),
    }
  }).pipe(Effect.provide(stack(seen)), Random.withSeed("history"))
}

/** The checks once everything has settled. */
const check = (asked: ReadonlyArray<Asked>, seen: Map<string, Array<Delivered>>) => {
  for (const { id, left, reply } of asked) {
    // Invariant 4: exactly one answer each, except for clients that left.
    if (!left) assert.strictEqual(reply.endings, 1, `${id} has ${reply.endings} answers`)
    else assert.isAtMost(reply.endings, 1)
    const attempts = seen.get(id) ?? []
    assert.isAtMost(attempts.length, 3)
    // Invariant 5: no second attempt once a byte was passed on.
    for (const earlier of attempts.slice(0, -1)) {
      assert.isTrue(
        earlier.status === 0 || earlier.status >= 400 || earlier.chunks.length === 0,
        `${id} was sent twice`,
      )
    }
    // Invariant 7: the client got the bytes that the last backend sent.
    const sent = text(attempts.at(-1)?.chunks ?? [])
    if (reply.status !== undefined) assert.isTrue(left ? sent.startsWith(reply.text) : sent === reply.text, id)
    else assert.strictEqual(reply.text, "")
  }
}
