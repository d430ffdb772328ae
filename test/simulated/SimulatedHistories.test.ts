/**
 * Generated histories: nothing leaks, every sink is called in the right order, and the same history gives the same
 * bytes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Fault, Model, type ServerOptions } from "../../src/simulated/SimulatedFleet.ts"
import { type Heard, layer, send, server } from "./support.ts"
import { runs } from "../support/runs.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** What happens, and two small numbers that say which request or model it is about, and how much. */
const Event = Schema.Struct({
  kind: Schema.Literals(["ask", "ask", "ask", "abort", "pause", "resume", "wait", "fault", "unload", "bounce"]),
  a: small(5),
  b: small(9),
})

const History = Schema.Array(Event).check(Schema.isMaxLength(25))

const faults = [
  Fault.refuse,
  Fault.reset(1),
  Fault.hang,
  Fault.stall(2),
  Fault.crash(1),
  Fault.truncate(2),
  Fault.slow("1 second"),
]

/** Models of 4 GiB on a card of 10 GiB: at most two fit at the same time. */
const big = (name: string) => Model.model({ name, size: 3 * 1024 ** 3, overhead: 0, blob: Model.sha256(name) })

const options: ServerOptions = {
  gpus: ["10 GiB"],
  models: [big("a"), big("b"), big("c"), Model.tinyEmbed],
  loadTime: "700 millis",
  releaseTime: "100 millis",
  decodeRate: 10,
  parallelism: 2,
  maxQueue: 3,
  maxLoaded: 2,
  keepAlive: "3 seconds",
}

const ask = (a: number, b: number) => {
  if (a === 3) {
    return send("/api/embed", {
      model: "tiny-embed",
      input: Array.from({ length: b }, (_, index) => `${index}`),
    })
  }
  const model = ["a", "b", "c"][a % 3]
  const settings = { num_predict: b, ...(a === 4 ? { num_ctx: 512 } : {}) }
  return b % 3 === 0
    ? send("/v1/chat/completions", { model, messages: [{ role: "user", content: "hi" }], stream: true, max_tokens: b })
    : send("/api/generate", {
      model,
      prompt: "hi",
      stream: b % 2 === 0,
      options: settings,
      ...(a === 5 ? { keep_alive: 0 } : {}),
    })
}

const play = Effect.fnUntraced(function* (history: typeof History.Type) {
  const simulated = yield* server
  const heard: Array<Heard> = []
  for (const { kind, a, b } of history) {
    const target = heard[heard.length - 1 - b]
    if (kind === "ask") heard.push(yield* ask(a, b))
    else if (kind === "abort") target?.upstream?.abort()
    else if (kind === "pause") target?.upstream?.pause()
    else if (kind === "resume") target?.upstream?.resume()
    else if (kind === "wait") yield* TestClock.adjust(b * 200)
    else if (kind === "fault") simulated.script(faults[(a + b) % faults.length]!, { times: 1 })
    else if (kind === "unload") heard.push(yield* send("/api/generate", { model: "a", keep_alive: 0 }))
    else {
      simulated.down()
      if (b > 2) yield* TestClock.adjust("100 millis")
      simulated.up()
    }
  }
  return heard
})

const settle = Effect.fnUntraced(function* (heard: ReadonlyArray<Heard>) {
  for (const one of heard) one.upstream?.resume()
  yield* TestClock.adjust("2 minutes")
  // The calls that are still open were told to hang.
  for (const one of heard) one.upstream?.abort()
  yield* TestClock.adjust("2 minutes")
})

const run = (history: typeof History.Type) =>
  Effect.gen(function* () {
    const heard = yield* play(history)
    yield* settle(heard)
    const simulated = yield* server
    return { heard, simulated }
  }).pipe(Effect.provide(Layer.fresh(layer(options)), { local: true }))

describe("any history", () => {
  it.effect.prop(
    "leaves no request, slot, load or byte of memory behind",
    { history: History },
    ({ history }) =>
      Effect.gen(function* () {
        const heard = yield* play(history)
        yield* settle(heard)
        const simulated = yield* server
        assert.deepStrictEqual([simulated.open, simulated.pending, simulated.loading], [0, 0, undefined])
        assert.deepStrictEqual(heard.flatMap(({ misuse }) => misuse), [])
        // All keep-alives are over by now.
        assert.deepStrictEqual([simulated.resident.length, simulated.gpus[0]?.used], [0, 0])
      }).pipe(Effect.provide(Layer.fresh(layer(options)))),
    { arbitrary: { runs: runs(200, 1000), size: 60, seed: "simulated" } },
  )

  it.effect.prop("gives the same bytes each time", { history: History }, ({ history }) =>
    Effect.gen(function* () {
      const [first, second] = [yield* run(history), yield* run(history)]
      // The clock has moved on between the two runs.
      const texts = ({ heard }: typeof first) =>
        heard.map(({ text, over }) => [text.replace(/"created(_at)?":[^,]+/g, ""), over])
      assert.deepStrictEqual(texts(first), texts(second))
      assert.deepStrictEqual(first.simulated.counts, second.simulated.counts)
    }), { arbitrary: { runs: 200, seed: "again" } })
})
