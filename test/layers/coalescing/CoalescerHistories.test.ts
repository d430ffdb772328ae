/** Generated histories of clients that join, read slowly and leave. The test plays the upstream calls itself. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import type { Flight } from "../../../src/layers/coalescing/flight.ts"
import * as MemoryCoalescer from "../../../src/layers/coalescing/MemoryCoalescer.ts"
import { Coalescer, type Lead } from "../../../src/services/Coalescer.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import type { Refusal } from "../../../src/services/Refusal.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { settled } from "../../../src/testing/contracts/Coalescer.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { request } from "../../support/routers.ts"
import { bytes, RecordingReply } from "../../support/sinks.ts"
import { runs } from "../../support/runs.ts"

const histories = runs(300, 1500)

const limits = { replayBytes: 2048, behindBytes: 700 }
const chunkMax = 900
const model = modelOn("m:latest", "a")

/** A reply that becomes full after each chunk, where its client is slow. */
class ClientReply extends RecordingReply {
  readonly slow: boolean
  full = false
  constructor(slow: boolean) {
    super()
    this.slow = slow
  }
  override data(chunk: Uint8Array): void {
    super.data(chunk)
    if (!this.slow || this.full) return
    this.full = true
    this.upstream?.pause()
  }
  read(): void {
    if (!this.full) return
    this.full = false
    this.upstream?.resume()
  }
}

const texts = ["a", "bb", "ccc", "poison"]
const vector = (text: string) => [text.length, ...[...text].map((char) => char.charCodeAt(0) / 8)]
const requests: ReadonlyArray<() => RoutedRequest> = [
  () => request("/api/chat", { model: "m", messages: [{ role: "user", content: "x" }], options: { seed: 1 } }),
  () => request("/api/generate", { model: "m", prompt: "x", options: { temperature: 0 } }),
  ...texts.map((input) => () => request("/api/embed", { model: "m", input })),
]
const isEmbed = (what: number) => what >= 2

/** One upstream call. */
class Played {
  readonly what: number
  readonly name: string
  readonly reply: Parameters<Lead>[1]
  readonly sent: () => RoutedRequest
  readonly end: (with_: Effect.Effect<Settled, Refusal>) => void
  state: "running" | "done" | "interrupted" = "running"
  texts: ReadonlyArray<string> | undefined = undefined
  paused = false
  text = ""
  constructor(
    what: number,
    name: string,
    reply: Parameters<Lead>[1],
    sent: () => RoutedRequest,
    end: (with_: Effect.Effect<Settled, Refusal>) => void,
  ) {
    this.what = what
    this.name = name
    this.reply = reply
    this.sent = sent
    this.end = end
  }
  get running() {
    return this.state === "running"
  }
  send(): void {
    if (this.texts !== undefined) return
    const { input } = JSON.parse(new TextDecoder().decode(this.sent().body)) as { input?: string | Array<string> }
    this.texts = typeof input === "string" ? [input] : input ?? []
    if (isEmbed(this.what)) return
    this.reply.open({
      pause: () => this.paused = true,
      resume: () => this.paused = false,
      abort: () => assert.strictEqual(this.state, "interrupted"),
    })
    this.reply.head(200, ["x-call", this.name])
  }
  /** Bytes that differ between calls and between positions. */
  more(length: number): void {
    this.send()
    if (isEmbed(this.what)) return
    let chunk = ""
    while (chunk.length < length) chunk += `${this.name}@${this.text.length + chunk.length};`
    this.text += chunk
    this.reply.data(bytes(chunk))
  }
  answer(status: number, body: string): void {
    this.reply.open({ pause: () => {}, resume: () => {}, abort: () => {} })
    this.reply.head(status, ["Content-Type", "application/json", "Content-Length", String(body.length)])
    this.reply.data(bytes(body))
    this.reply.end()
    this.done(Effect.succeed({ ...settled, status }))
  }
  finish(busy: boolean): void {
    this.send()
    const all = this.texts ?? []
    if (!isEmbed(this.what)) {
      this.reply.end()
      this.done(Effect.succeed(settled))
    } else if (busy) this.answer(503, `{"error":"busy"}`)
    else if (all.includes("poison")) this.answer(400, `{"error":"poison"}`)
    else {
      const count = all.reduce((sum, text) => sum + text.length, 0)
      this.answer(200, JSON.stringify({ model: "m", embeddings: all.map(vector), prompt_eval_count: count }))
    }
  }
  breakOff(): void {
    this.send()
    if (isEmbed(this.what)) {
      this.reply.open({ pause: () => {}, resume: () => {}, abort: () => {} })
      this.reply.head(200, ["Content-Type", "application/json"])
      this.reply.data(bytes("{"))
    }
    this.reply.refuse(refuse("BackendFailed", "broke off"))
    this.done(Effect.succeed(settled))
  }
  done(with_: Effect.Effect<Settled, Refusal>): void {
    this.state = "done"
    this.end(with_)
  }
}

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Step = Schema.Union([
  Schema.Struct({ do: Schema.Literal("join"), what: small(5), slow: Schema.Boolean }),
  // Listed twice to make it more likely: nothing happens without clients.
  Schema.Struct({ do: Schema.Literal("join"), what: small(1), slow: Schema.Boolean }),
  Schema.Struct({ do: Schema.Literal("more"), which: small(30), length: small(chunkMax - 30) }),
  Schema.Struct({ do: Schema.Literal("more"), which: small(3), length: small(chunkMax - 30) }),
  Schema.Struct({
    do: Schema.Literals(["leave", "read", "send", "finish", "busy", "refuse", "break-off"]),
    which: small(30),
  }),
])

interface Client {
  readonly what: number
  readonly reply: ClientReply
  readonly fiber: Fiber.Fiber<Settled, Refusal>
  left: boolean
}

const waiting = ({ fiber }: Client): boolean => fiber.pollUnsafe() === undefined

const play = (steps: ReadonlyArray<typeof Step.Type>) =>
  Effect.gen(function* () {
    const coalescer = yield* Coalescer
    const clients: Array<Client> = []
    const calls: Array<Played> = []
    const seen = { shared: 0, cut: 0, batched: 0 }

    const lead = (what: number, of: RoutedRequest): Lead => (_demand, reply, sent) =>
      Effect.callback<Settled, Refusal>((resume) => {
        const call = new Played(what, `c${calls.length}`, reply, sent ?? (() => of), resume)
        calls.push(call)
        return Effect.sync(() => {
          call.state = "interrupted"
        })
      })

    const check = () => {
      // The call ends when the last of its clients leaves.
      for (const some of [[0], [1], [2, 3, 4, 5]]) {
        const working = calls.filter((call) => call.running && some.includes(call.what)).length
        assert.isAtMost(working, clients.filter((one) => waiting(one) && some.includes(one.what)).length)
      }
      assert.strictEqual(coalescer.active(), calls.filter((call) => call.running).length)
      for (const call of calls.filter(({ running, text, what }) => running && !isEmbed(what) && text !== "")) {
        const members = clients.filter((one) => waiting(one) && one.reply.rawHeaders[1] === call.name)
        const { held } = call.reply as Flight
        assert.isAtMost(held, limits.replayBytes + limits.behindBytes + 2 * chunkMax)
        assert.strictEqual(
          call.paused,
          members.every(({ reply }) => reply.full),
          "paused only while all are full",
        )
        // The bytes kept for slow clients are bounded while the call goes on.
        for (const { reply } of members) {
          assert.isTrue(call.text.startsWith(reply.text))
          const kept = call.text.length - reply.bytes
          if (!call.paused) assert.isAtMost(kept, limits.replayBytes + limits.behindBytes + chunkMax)
          if (!reply.full) assert.strictEqual(kept, 0)
        }
      }
    }

    for (const step of steps) {
      const client = "which" in step ? clients[step.which % Math.max(1, clients.length)] : undefined
      const running = calls.filter((call) => call.running)
      const call = "which" in step ? running[step.which % Math.max(1, running.length)] : undefined
      if (step.do === "join") {
        const reply = new ClientReply(step.slow)
        const of = requests[step.what]!()
        const joined = coalescer.join(of, demandFor(model, { id: of.id }), reply, lead(step.what, of))
        const fiber = yield* Effect.forkChild(joined, { startImmediately: true })
        clients.push({ what: step.what, reply, fiber, left: false })
      } else if (step.do === "leave" && client !== undefined && waiting(client)) {
        client.left = true
        client.fiber.interruptUnsafe()
      } else if (step.do === "read") client?.reply.read()
      else if (step.do === "more" && call?.paused === false) call.more(step.length)
      else if (step.do === "send") call?.send()
      else if (step.do === "finish" || step.do === "busy") call?.finish(step.do === "busy")
      else if (step.do === "refuse" && call?.texts === undefined) call?.done(Effect.fail(refuse("QueueFull", "full")))
      else if (step.do === "break-off") call?.breakOff()
      yield* Effect.yieldNow
      check()
    }
    for (
      let some = calls.filter((call) => call.running);
      some.length > 0;
      some = calls.filter((call) => call.running)
    ) {
      some[0]!.finish(false)
      yield* Effect.yieldNow
    }

    for (const { fiber, left, reply, what } of clients) {
      const exit = yield* Fiber.await(fiber)
      assert.isAtMost(reply.endings, 1)
      if (left) continue
      if (Exit.isFailure(exit)) {
        assert.strictEqual(reply.endings, 0, "refused: only the router answers")
        continue
      }
      assert.strictEqual(reply.endings, 1)
      if (exit.value.coalesced !== undefined) seen.shared++
      if (exit.value.outcome?.cause === "client-stalled") seen.cut++
      if (!isEmbed(what)) {
        const call = calls.find(({ name }) => name === reply.rawHeaders[1])!
        assert.strictEqual(call.what, what)
        if (reply.failed.length > 0) assert.isTrue(call.text.startsWith(reply.text))
        else assert.strictEqual(reply.text, call.text)
        continue
      }
      const text = texts[what - 2]!
      if (reply.refusals.length > 0) continue
      assert.strictEqual(exit.value.status, reply.status)
      if (reply.status === 400) assert.strictEqual(text, "poison")
      if (reply.status === 200) {
        if (reply.annotations.includes("X-Llamero-Batch")) seen.batched++
        assert.deepStrictEqual(JSON.parse(reply.text).embeddings, [vector(text)])
        assert.strictEqual(reply.rawHeaders.at(-1), String(reply.bytes))
      }
    }
    // A flight that has ended must not refer to its clients: V8 may keep it in memory long after.
    for (const { reply, what } of calls) if (!isEmbed(what)) assert.strictEqual((reply as Flight).participants.size, 0)
    // Attempts are counted once for each call, whichever of its clients stay.
    const attempts = yield* Effect.forEach(
      clients,
      ({ fiber, left }) =>
        Effect.map(Fiber.await(fiber), (exit) => left || Exit.isFailure(exit) ? 0 : exit.value.attempts),
    )
    assert.isAtMost(attempts.reduce((sum, one) => sum + one, 0), calls.filter(({ state }) => state === "done").length)
    assert.strictEqual(coalescer.active(), 0)
    return seen
  })

const total = { shared: 0, cut: 0, batched: 0 }

it.effect.prop(
  "each client gets the whole answer of one call, or leaves; a call ends with its last client; nothing is left over",
  { steps: Schema.Array(Step) },
  ({ steps }) =>
    Effect.map(play(steps).pipe(Effect.provide(MemoryCoalescer.layer(limits))), (seen) => {
      total.shared += seen.shared
      total.cut += seen.cut
      total.batched += seen.batched
    }),
  { arbitrary: { runs: histories, size: 60, seed: "coalescer" } },
)

it("the histories reach the cases that they are meant to test", () => {
  assert.isAbove(total.shared, histories / 2)
  assert.isAbove(total.cut, histories / 100)
  assert.isAbove(total.batched, histories / 20)
})
