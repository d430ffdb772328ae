/**
 * What every `Coalescer` must do, whether it shares calls or not.
 *
 * @since 0.1.0
 */
import { Deferred, Effect, Exit, Fiber, type Layer } from "effect"
import { Coalescer, type Lead } from "../../services/Coalescer.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import type { Upstream } from "../../services/Transport.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"
import { demandFor, modelOn } from "../demands.ts"
import { tracked } from "../outstanding.ts"
import { request } from "../requests.ts"
import { bytes, RecordingReply } from "../replies.ts"

const model = modelOn("m:latest", "a")
/** What `answering` settles with. @category constructors @since 0.1.0 */
export const settled: Settled = {
  result: "answered",
  status: 200,
  refusal: undefined,
  outcome: { kind: "success", cause: "ok" },
  backend: "a",
  attempts: 1,
  queuedMillis: 0,
}
/** An upstream whose methods do nothing. @category constructors @since 0.1.0 */
export const upstream: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }

/** Answers `text` in two chunks, the second one when `until` has ended. @category constructors @since 0.1.0 */
export const answering = (text: string, until: Effect.Effect<unknown> = Effect.void): Lead => (_demand, reply) =>
  Effect.gen(function* () {
    reply.open(upstream)
    reply.head(200, ["Content-Type", "text/plain"])
    reply.data(bytes(text.slice(0, 2)))
    yield* until
    reply.data(bytes(text.slice(2)))
    reply.end()
    return settled
  })

/** A request that may be answered differently every time. @category constructors @since 0.1.0 */
export const sampled = (): RoutedRequest => request("/api/generate", { model: "m", prompt: "x" })
/** A request that has one answer. @category constructors @since 0.1.0 */
export const same = (): RoutedRequest =>
  request("/api/generate", { model: "m", prompt: "x", options: { temperature: 0 } })

/** Joins, or leads with `lead`. @category constructors @since 0.1.0 */
export const joining = (
  of: RoutedRequest = same(),
  lead: Lead = answering("answer"),
  reply: RecordingReply = new RecordingReply(),
): Effect.Effect<Settled, Refusal, Coalescer> =>
  Effect.flatMap(Coalescer, (coalescer) => {
    const demand = demandFor(model, { id: of.id, priority: of.priority })
    const name = `join of ${of.id} (model ${model.key}, tenant ${demand.tenant})`
    return tracked(name, coalescer.join(of, demand, reply, lead))
  })

const active = Effect.map(Coalescer, (coalescer) => coalescer.active())

const ledByCaller = Effect.gen(function* () {
  let reply = new RecordingReply()
  let led = 0
  let fiber: number | undefined
  const lead: Lead = (demand, to, sent) =>
    Effect.withFiber((current) => {
      led++
      fiber = current.id
      assert.strictEqual(to, reply)
      assert.isUndefined(sent)
      return answering("answer")(demand, to)
    })
  const mine = yield* Effect.withFiber((current) => Effect.succeed(current.id))
  for (const _ of [1, 2]) {
    reply = new RecordingReply()
    assert.strictEqual(yield* joining(sampled(), lead, reply), settled)
  }
  assert.strictEqual(led, 2)
  assert.strictEqual(fiber, mine)
  assert.strictEqual(yield* active, 0)
})

const givesAnswer = (of: () => RoutedRequest) =>
  Effect.gen(function* () {
    const reply = new RecordingReply()
    const ended = yield* joining(of(), answering("answer"), reply)
    assert.strictEqual(reply.text, "answer")
    assert.strictEqual(reply.endings, 1)
    assert.deepStrictEqual(ended, settled)
    assert.strictEqual(yield* active, 0)
  })

const givesRefusal = (of: () => RoutedRequest) =>
  Effect.gen(function* () {
    const why = refuse("QueueFull", "full")
    assert.strictEqual(yield* Effect.flip(joining(of(), () => Effect.fail(why))), why)
    assert.strictEqual(yield* active, 0)
  })

const givesDefect = (of: () => RoutedRequest) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(joining(of(), () => {
      throw new Error("boom")
    }))
    assert.isTrue(Exit.isFailure(exit))
    assert.strictEqual(yield* active, 0)
  })

const onlyClientLeaves = (of: () => RoutedRequest) =>
  Effect.gen(function* () {
    const interrupted = yield* Deferred.make<void>()
    const forever: Lead = () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
    const fiber = yield* Effect.forkChild(joining(of(), forever), { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    yield* tracked("interruption of the work, after its only client left", Deferred.await(interrupted))
    assert.strictEqual(yield* active, 0)
  })

/** Several clients at once; those with an index in `leaving` leave in the middle of the answer. */
const clients = (of: () => RoutedRequest, leaving: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const rest = yield* Deferred.make<void>()
    const replies = [0, 1, 2].map(() => new RecordingReply())
    const fibers: Array<Fiber.Fiber<Settled, unknown>> = []
    for (const reply of replies) {
      const joined = joining(of(), answering("answer", Deferred.await(rest)), reply)
      fibers.push(yield* Effect.forkChild(joined, { startImmediately: true }))
    }
    yield* Effect.repeat(Effect.yieldNow, { times: 10 })
    for (const index of leaving) yield* Fiber.interrupt(fibers[index]!)
    yield* Deferred.succeed(rest, undefined)
    for (const [index, fiber] of fibers.entries()) {
      if (leaving.includes(index)) continue
      assert.strictEqual((yield* Fiber.join(fiber)).result, "answered")
      assert.strictEqual(replies[index]?.text, "answer")
      assert.strictEqual(replies[index]?.endings, 1)
    }
    assert.strictEqual(yield* active, 0)
  })

/** @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<Coalescer, unknown>): ReadonlyArray<Check> => {
  const holds = (name: string, body: Effect.Effect<void, unknown, Coalescer>) =>
    check(name, () => Effect.provide(body, layer))
  return [
    holds(
      "a request that may be answered differently every time is led in the caller's fiber, with its own reply",
      ledByCaller,
    ),
    ...([["sampled", sampled], ["deterministic", same]] as const).flatMap(([what, of]) => [
      holds(`${what}: gives the answer, byte for byte, and settles once`, givesAnswer(of)),
      holds(`${what}: a refusal is a failure for the client that asked`, givesRefusal(of)),
      holds(`${what}: a defect is a defect for the client that asked`, givesDefect(of)),
      holds(`${what}: the only client leaves, and the work is interrupted`, onlyClientLeaves(of)),
      holds(`${what}: clients that ask at once each get the whole answer, and settle`, clients(of, [])),
      holds(`${what}: a client that leaves takes nothing from the others`, clients(of, [0])),
    ]),
  ]
}
