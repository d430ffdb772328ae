/** Pulls over simulated servers, in virtual time: their order, what is verified, and what fails. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer } from "effect"
import type { Listener } from "../../../src/command/sync/perform.ts"
import { conclusion } from "../../../src/command/sync/report.ts"
import { type Options, sync } from "../../../src/command/sync/run.ts"
import { backend } from "../../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { url } from "../../support/routers.ts"

const { Fault, Model } = SimulatedFleet
const small = Model.model({ name: "small:1b", size: 1000 })
const older = Model.model({ name: "small:1b", size: 900, digest: Model.sha256("older") })
const other = Model.model({ name: "other:1b", size: 1000 })
const foreign = Model.model({ name: "hf.co/who/what:q4", size: 1000 })

/** A pull takes ten seconds. */
const empty: SimulatedFleet.ServerOptions = { models: [], pullable: [small, other, foreign], pullBandwidth: 100 }

interface Span {
  readonly what: string
  readonly begin: number
  readonly end: number
}

const setUp = (
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>,
  wanted: Readonly<Record<string, ReadonlyArray<string>>>,
  options: Partial<Options> = {},
) =>
  Effect.gen(function* () {
    const backends = Object.entries(wanted).map(([id, models]) => backend({ url: url(id), id, models }))
    const spans: Array<Span> = []
    const begun = new Map<string, number>()
    const nameOf = ({ backend, model }: { readonly backend: string; readonly model: string }) =>
      `${model} on ${backend}`
    const listener: Listener = {
      onBegin: (pull) => Effect.map(Clock.currentTimeMillis, (at) => void begun.set(nameOf(pull), at)),
      onEnd: ({ failure, pull }) =>
        Effect.map(Clock.currentTimeMillis, (end) => {
          const what = nameOf(pull)
          spans.push({ what: failure === "" ? what : `${what}: ${failure}`, begin: begun.get(what)!, end })
        }),
    }
    const layer = Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer).pipe(
      Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(
        Object.entries(servers).map(([id, options]) => [url(id), options]),
      ))),
    )
    const context = yield* Layer.build(layer)
    const all = { backends, models: [], apply: true, repair: false, limit: Duration.hours(6), listener, ...options }
    const once = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(sync(all).pipe(Effect.provideContext(context)))
      yield* elapse("5 minutes")
      return yield* Fiber.join(fiber)
    })
    const { get } = yield* Effect.provideContext(SimulatedFleet.SimulatedFleet, context)
    return { once, spans, server: (id: string) => get(url(id)) }
  })

/** Spans that are under way at the same time. */
const overlaps = (spans: ReadonlyArray<Span>): boolean =>
  spans.some((one, i) => spans.slice(i + 1).some((two) => one.begin < two.end && two.begin < one.end))

describe("sync", () => {
  it.effect("pulls one model at a time from each registry, those of different registries together, and finds them there", () =>
    Effect.gen(function* () {
      const wanted = { a: ["small:1b", "hf.co/who/what:q4"], b: ["small:1b", "other:1b"], c: ["hf.co/Who/What:Q4"] }
      const { once, spans } = yield* setUp({ a: empty, b: empty, c: empty }, wanted)
      const report = yield* once
      assert.isTrue(report.ok, JSON.stringify(report))
      assert.deepStrictEqual(new Set(report.models.map(({ state }) => state)), new Set(["present"]))
      assert.deepStrictEqual(report.pulls.map(({ state }) => state), ["done", "done", "done", "done", "done"])
      const ollama = spans.filter(({ what }) => !what.startsWith("hf.co"))
      const hf = spans.filter(({ what }) => what.startsWith("hf.co"))
      assert.deepStrictEqual(ollama.map(({ what }) => what), ["small:1b on a", "small:1b on b", "other:1b on b"])
      assert.deepStrictEqual(hf.length, 2)
      assert.isFalse(overlaps(ollama))
      assert.isFalse(overlaps(hf))
      assert.isTrue(overlaps(spans))
      assert.isTrue(spans.every(({ begin, end }) => end - begin >= 10_000))
      assert.strictEqual(
        conclusion(report),
        "Every model is where it should be, with the same content everywhere. 5 pulls done.",
      )
    }))

  it.effect("only plans without apply: no backend is asked to pull", () =>
    Effect.gen(function* () {
      const { once, server } = yield* setUp({ a: empty }, { a: ["small:1b"] }, { apply: false, models: ["other:1b"] })
      const report = yield* once
      assert.deepStrictEqual([report.applied, report.ok], [false, false])
      assert.deepStrictEqual(report.pulls.map(({ model, state }) => [model, state]), [
        ["small:1b", "planned"],
        ["other:1b", "planned"],
      ])
      assert.deepStrictEqual(server("a").calls.filter(({ path }) => path === "/api/pull"), [])
      assert.strictEqual(conclusion(report), "2 of 2 wanted models missing. `--apply` performs 2 pulls.")
    }))

  it.effect("does nothing where everything is there", () =>
    Effect.gen(function* () {
      const { once, server, spans } = yield* setUp({ a: { ...empty, models: [small] } }, { a: ["SMALL:1b"] })
      const report = yield* once
      assert.deepStrictEqual([report.ok, report.pulls, spans], [true, [], []])
      assert.deepStrictEqual(server("a").calls.filter(({ path }) => path === "/api/pull"), [])
    }))

  it.effect("a model that no registry has stays missing, with Ollama's reason, and the others are pulled all the same", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp({ a: empty }, { a: ["nowhere:1b", "small:1b"] })
      const report = yield* once
      assert.isFalse(report.ok)
      assert.deepStrictEqual(report.models.map(({ model, state }) => [model, state]), [
        ["nowhere:1b", "missing"],
        ["small:1b", "present"],
      ])
      assert.deepStrictEqual(report.pulls.map(({ reason, state }) => [state, reason]), [
        ["failed", "pull model manifest: file does not exist"],
        ["done", ""],
      ])
      assert.strictEqual(conclusion(report), "1 of 2 wanted models missing.")
    }))

  it.effect("a backend that does not answer, and one that breaks off, keep nobody else from pulling", () =>
    Effect.gen(function* () {
      const { once, server } = yield* setUp(
        { a: empty, b: empty, c: empty },
        { a: ["small:1b"], b: ["small:1b"], c: ["small:1b"] },
      )
      server("a").script(Fault.refuse, { path: "/api/tags", times: 100 })
      server("b").script(Fault.reset(10), { path: "/api/pull", times: 1 })
      const report = yield* once
      assert.deepStrictEqual(report.models.map(({ backend, state }) => [backend, state]), [
        ["a", "unknown"],
        ["b", "missing"],
        ["c", "present"],
      ])
      assert.deepStrictEqual(report.pulls.map(({ backend, state }) => [backend, state]), [["b", "failed"], [
        "c",
        "done",
      ]])
      assert.strictEqual(conclusion(report), "1 of 3 wanted models missing, 1 backend did not answer.")
    }))

  it.effect("a pull that takes too long is ended, and continued by the next run", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp({ a: empty }, { a: ["small:1b"] }, { limit: Duration.seconds(5) })
      const report = yield* once
      assert.deepStrictEqual(report.pulls.map(({ reason, state }) => [state, reason]), [[
        "failed",
        "not pulled within 5s",
      ]])
      assert.isFalse(report.ok)
    }))

  it.effect("different contents are told, and repaired where it is asked for", () =>
    Effect.gen(function* () {
      const servers = { a: { ...empty, models: [small] }, b: { ...empty, models: [older] } }
      const wanted = { a: ["small:1b"], b: ["small:1b"] }
      const told = yield* (yield* setUp(servers, wanted)).once
      assert.deepStrictEqual([told.ok, told.pulls], [false, []])
      assert.deepStrictEqual(told.differences, [{
        model: "small:1b",
        versions: [{ digest: small.digest, backends: ["a"] }, { digest: older.digest, backends: ["b"] }],
      }])
      assert.strictEqual(
        conclusion(told),
        "1 model with different contents. `--repair` pulls those with different contents.",
      )
      const repaired = yield* (yield* setUp(servers, wanted, { repair: true })).once
      assert.deepStrictEqual([repaired.ok, repaired.differences], [true, []], JSON.stringify(repaired))
      assert.deepStrictEqual(repaired.pulls.map(({ backend, state, why }) => [backend, state, why]), [
        ["a", "done", "differs"],
        ["b", "done", "differs"],
      ])
    }))

  it.effect("says so where no model is wanted", () =>
    Effect.gen(function* () {
      const { once } = yield* setUp({ a: empty }, { a: [] })
      assert.include((yield* Effect.flip(once)).message, "No model is wanted")
    }))
})
