import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { GpuProbe } from "../../src/services/GpuProbe.ts"
import type { Transport } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import { send } from "./support.ts"

const urls = ["http://a:11434", "http://b:11434"] as const
const { embedder, llama31, mistral } = SimulatedFleet.Model

/** Two servers on one GPU, unless `gpuUuids` says otherwise. */
const pair = (options: SimulatedFleet.ServerOptions) => {
  const one: SimulatedFleet.ServerOptions = {
    gpus: ["24 GiB"],
    gpuUuids: ["GPU-1"],
    contextLength: 4096,
    models: [llama31, mistral, embedder],
    ...options,
  }
  return SimulatedTransport.layer.pipe(
    Layer.provideMerge(SimulatedGpuProbe.layer),
    Layer.provideMerge(SimulatedFleet.layer({ [urls[0]]: one, [urls[1]]: one })),
  )
}

type World = Transport | GpuProbe | SimulatedFleet.SimulatedFleet

const on = (name: string, options: SimulatedFleet.ServerOptions, test: () => Effect.gen.Return<void, unknown, World>) =>
  it.effect(
    name,
    () => Effect.provide(Effect.gen(test), pair(options), { local: true }) as Effect.Effect<void, unknown>,
  )

const chat = (url: string, tokens: number, model = llama31.name) =>
  send("/api/generate", { model, prompt: "hi", options: { num_predict: tokens } }, { url })

const last = (heard: { readonly text: string }) => JSON.parse(heard.text.trim().split("\n").at(-1)!)

describe("a GPU that slots and servers share", () => {
  // The tokens of one alone come every 10 ms; each further stream adds 10 ms to the step.
  const rates = { decodeRate: 100, decodeRateMax: 100, parallelism: 4 }

  on("makes the tokens of all streams come later", rates, function* () {
    yield* chat(urls[0], 1)
    yield* TestClock.adjust("1 second")
    const two = yield* Effect.forEach([1, 2], () => chat(urls[0], 10))
    yield* TestClock.adjust("189 millis")
    assert.deepStrictEqual(two.map(({ over }) => over), [undefined, undefined])
    yield* TestClock.adjust("11 millis")
    assert.deepStrictEqual(two.map(({ over }) => over), ["end", "end"])
    // `eval_duration` is the time that passed, not the time of one stream alone.
    assert.deepStrictEqual(two.map((heard) => last(heard).eval_duration / 1e6), [190, 200])
    const alone = yield* chat(urls[0], 10)
    yield* TestClock.adjust("100 millis")
    assert.strictEqual(alone.over, "end")
  })

  on("slows the streams of one server for those of the other", rates, function* () {
    for (const url of urls) yield* chat(url, 1)
    yield* TestClock.adjust("1 second")
    const two = yield* Effect.forEach(urls, (url) => chat(url, 10))
    yield* TestClock.adjust("189 millis")
    assert.deepStrictEqual(two.map(({ over }) => over), [undefined, undefined])
    yield* TestClock.adjust("11 millis")
    assert.deepStrictEqual(two.map(({ over }) => over), ["end", "end"])
  })

  on("does not slow servers on other GPUs", { ...rates, gpuUuids: [] }, function* () {
    for (const url of urls) yield* chat(url, 1)
    yield* TestClock.adjust("1 second")
    const two = yield* Effect.forEach(urls, (url) => chat(url, 10))
    yield* TestClock.adjust("100 millis")
    assert.deepStrictEqual(two.map(({ over }) => over), ["end", "end"])
  })

  on("reads texts at the rate of each server until the GPU is the limit", {
    prefillRate: 100,
    prefillRateMax: 150,
  }, function* () {
    for (const url of urls) yield* send("/api/embed", { model: embedder.name }, { url })
    yield* TestClock.adjust("1 second")
    // Ten tokens.
    const text = "x".repeat(36)
    const embed = (url: string) => send("/api/embed", { model: embedder.name, input: text }, { url })
    const alone = yield* embed(urls[0])
    yield* TestClock.adjust("100 millis")
    assert.strictEqual(alone.over, "end")
    const first = yield* embed(urls[0])
    const second = yield* embed(urls[1])
    yield* TestClock.adjust("100 millis")
    assert.deepStrictEqual([first.over, second.over], ["end", undefined])
    yield* TestClock.adjust("34 millis")
    assert.strictEqual(second.over, "end")
  })

  on("has one memory, and gives back that of a server that dies", { parallelism: 1 }, function* () {
    const fleet = yield* SimulatedFleet.SimulatedFleet
    const probe = yield* GpuProbe
    const used = Effect.map(probe.read, ({ devices }) => {
      assert.deepStrictEqual(devices.map(({ uuid }) => uuid), ["GPU-1"])
      return fleet.get(urls[0]).gpus[0]!.used
    })
    yield* chat(urls[0], 1)
    yield* TestClock.adjust("1 second")
    const one = yield* used
    yield* chat(urls[1], 1)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* used, 2 * one)
    fleet.get(urls[0]).down()
    assert.strictEqual(yield* used, one)
    fleet.get(urls[1]).down()
    fleet.get(urls[0]).up()
    assert.strictEqual(yield* used, 0)
  })
})

describe("the delay of a busy GPU", () => {
  on("is in the total only, and is the same for the same seed", {
    decodeRate: 100,
    slotDelay: ["50 millis", "150 millis"],
    seed: 7,
  }, function* () {
    for (const url of urls) yield* chat(url, 1)
    yield* TestClock.adjust("1 second")
    const hidden: Array<Array<number>> = []
    for (const url of urls) {
      const seen: Array<number> = []
      for (let n = 0; n < 20; n++) {
        const heard = yield* chat(url, 3)
        yield* TestClock.adjust("1 second")
        const { eval_duration, load_duration = 0, prompt_eval_duration = 0, total_duration } = last(heard)
        seen.push((total_duration - eval_duration - load_duration - prompt_eval_duration) / 1e6)
      }
      hidden.push(seen)
    }
    assert.deepStrictEqual(hidden[0], hidden[1])
    assert.isAtLeast(Math.min(...hidden[0]!), 50)
    assert.isAtMost(Math.max(...hidden[0]!), 150)
    assert.isAbove(new Set(hidden[0]).size, 10)
  })

  it("is refused when it ends before it begins, as are wrong UUIDs", () => {
    const make = (options: SimulatedFleet.ServerOptions) => () =>
      Effect.runSync(Effect.scoped(SimulatedFleet.makeServer(urls[0], options)))
    assert.throws(make({ slotDelay: ["2 millis", "1 milli"] }), /slotDelay/)
    assert.throws(make({ gpus: ["1 GiB"], gpuUuids: ["a", "b"] }), /gpuUuids/)
    assert.throws(make({ decodeRateMax: 0 }), /decodeRateMax/)
  })
})
