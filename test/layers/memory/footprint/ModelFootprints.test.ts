import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, PlatformError } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as LearnedModelFootprints from "../../../../src/layers/memory/footprint/LearnedModelFootprints.ts"
import { BackendHealth } from "../../../../src/services/BackendHealth.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { ModelFootprints, shape, shapeOn } from "../../../../src/services/Footprint.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { llama31 } from "../../../../src/simulated/models/model.ts"
import { modelInfo } from "../../../../src/simulated/models/show.ts"
import * as ModelFootprintsContract from "../../../../src/testing/contracts/ModelFootprints.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockModelFootprints from "../../../../src/testing/mocks/MockModelFootprints.ts"
import { holds } from "../../../support/checks.ts"
import * as FakeOllamaApi from "../../../support/fakeOllamaApi.ts"

const { FakeServers } = FakeOllamaApi
const owners = ["a", "b"]
const a = backend({ url: "http://a", id: "a" })
const run = shape({ context: 4096 })

const catalog = MockModelCatalog.layer([
  { name: "known", owners, size: llama31.size },
  { name: "unknown", owners },
  { name: "r:cloud", owners },
])
const fleet = Layer.orDie(StaticFleet.layer([{ url: "http://a", id: "a" }, { url: "http://b", id: "b" }]))

/** The versions that the servers report. */
class Versions extends Context.Service<Versions, Map<string, string>>()("test/Versions") {}

const health = Layer.effect(
  BackendHealth,
  Effect.map(Versions, (versions) =>
    BackendHealth.of({
      status: (id) => ({ state: "healthy", reason: "", since: 0, version: versions.get(id) }),
      record: () => {},
      check: Effect.void,
      onChange: () => () => {},
    })),
).pipe(Layer.provideMerge(Layer.sync(Versions, () => new Map([["a", "0.33.0"], ["b", "0.33.0"]]))))

const answering = Layer.effectDiscard(Effect.gen(function* () {
  const { server } = yield* FakeServers
  for (const id of owners) {
    server(id).show = (model) => model.startsWith("known") ? { model_info: modelInfo(llama31, false) } : {}
  }
}))

const around = Layer.mergeAll(FakeOllamaApi.layer, fleet, catalog, health)
const learned = (options?: LearnedModelFootprints.Options) =>
  LearnedModelFootprints.layer(options).pipe(Layer.provide(answering), Layer.provideMerge(around))

holds("LearnedModelFootprints is a ModelFootprints", ModelFootprintsContract.contract(learned()))
holds(
  "MockModelFootprints is a ModelFootprints",
  ModelFootprintsContract.contract(Layer.merge(MockModelFootprints.layer({ "known:latest": 6e9 }), catalog)),
)

const setup = Effect.gen(function* () {
  const footprints = yield* ModelFootprints
  const { peek } = yield* ModelCatalog
  const { server } = yield* FakeServers
  return { footprints, known: peek("known")!, unknown: peek("unknown")!, fake: server("a"), other: server("b") }
})

describe("LearnedModelFootprints", () => {
  it.effect("describes each manifest once, in the background", () =>
    Effect.gen(function* () {
      const { fake, footprints, known, other } = yield* setup
      yield* elapse("2 minutes")
      const shows = [...fake.calls, ...other.calls].filter((call) => call === "show known:latest")
      assert.lengthOf(shows, 1, "both backends have the same manifest")
      assert.deepInclude(footprints.geometry(known, a), { layers: 32, kvHeads: 8, exact: true })
      const parts = footprints.of(known, a, run)?.parts
      assert.strictEqual(parts?.kv, 512 * 1024 * 1024)
      assert.strictEqual(parts?.weights.gpu, llama31.size)
    }).pipe(Effect.provide(learned())))

  it.effect("reads a manifest when first asked for it, once for all callers, and again some time after a failure", () =>
    Effect.gen(function* () {
      const { fake, footprints, known, other } = yield* setup
      yield* elapse("1 second")
      const before = fake.calls.length + other.calls.length
      const late = { ...known, key: "late:latest", owners: new Map([["a", { digest: "sha-late", size: 1e9 }]]) }
      fake.up = false
      for (let i = 0; i < 3; i++) assert.isUndefined(footprints.of(late, a, run))
      yield* footprints.prepare(late, a)
      yield* footprints.prepare(late, a)
      assert.isUndefined(footprints.of(late, a, run))
      assert.strictEqual(fake.calls.length + other.calls.length, before + 1)
      fake.up = true
      fake.show = () => ({ model_info: modelInfo(llama31, false) })
      yield* elapse("29 seconds")
      assert.isUndefined(footprints.of(late, a, run))
      yield* elapse("1 second")
      yield* footprints.prepare(late, a)
      assert.isDefined(footprints.of(late, a, run))
    }).pipe(Effect.provide(learned({ interval: "30 seconds" }))))

  it.effect("a description that ends with a defect is tried again only after the interval", () =>
    Effect.gen(function* () {
      const { fake, footprints, known } = yield* setup
      yield* elapse("1 second")
      const odd = { ...known, key: "odd:latest", owners: new Map([["a", { digest: "sha-odd", size: 1e9 }]]) }
      fake.show = () => {
        throw new Error("a broken answer")
      }
      const before = fake.calls.length
      for (let i = 0; i < 5; i++) yield* footprints.prepare(odd, a)
      assert.strictEqual(fake.calls.length, before + 1)
      fake.show = () => ({ model_info: modelInfo(llama31, false) })
      yield* elapse("30 seconds")
      yield* footprints.prepare(odd, a)
      assert.isDefined(footprints.of(odd, a, run))
    }).pipe(Effect.provide(learned({ interval: "30 seconds" }))))

  it.effect("learns by version: after an upgrade the estimate holds again", () =>
    Effect.gen(function* () {
      const { footprints, known } = yield* setup
      yield* footprints.prepare(known, a)
      const versions = yield* Versions
      const bound = footprints.of(known, a, run)
      footprints.learn(known, a, run, { size: 5.2e9, sizeVram: 5.2e9 })
      const after = footprints.of(known, a, run)!
      assert.strictEqual(after.source, "learned")
      assert.isBelow(after.reserve, bound!.reserve)
      assert.deepStrictEqual(after.parts, bound!.parts)
      versions.set("a", "0.34.0")
      assert.deepStrictEqual(footprints.of(known, a, run), bound)
    }).pipe(Effect.provide(learned())))

  it.effect("learns from one load that a backend has flash attention, for other contexts and models of the kind", () =>
    Effect.gen(function* () {
      const { footprints, known } = yield* setup
      yield* footprints.prepare(known, a)
      const long = { ...run, context: 131_072, flashAttention: "unknown" } as const
      const [on, before] = [footprints.of(known, a, { ...long, flashAttention: "on" }), footprints.of(known, a, long)]
      const observe = (bytes: number, vram = bytes) => footprints.learn(known, a, long, { size: bytes, sizeVram: vram })
      const other = () => footprints.of(known, a, { ...long, context: 65_536 })!.reserve
      const unlearned = other()
      const took = 21_731 * 1024 * 1024
      assert.isAbove(before!.reserve, 2 * on!.reserve)
      observe(took, took / 2)
      assert.strictEqual(other(), unlearned, "a spilled model shows nothing")
      observe(llama31.size)
      assert.strictEqual(other(), unlearned, "the size of the file shows nothing")
      observe(took)
      const learnedHere = other()
      assert.isBelow(learnedHere, unlearned / 2)
      assert.strictEqual(
        learnedHere,
        footprints.of(known, a, { ...long, context: 65_536, flashAttention: "on" })!.reserve,
      )
      const there = backend({ url: "http://b", id: "b" })
      assert.isAbove(footprints.of(known, there, long)!.reserve, 2 * on!.reserve, "not on another backend")
      const off = { ...long, flashAttention: "off" } as const
      assert.strictEqual(footprints.of(known, a, off)?.reserve, before?.reserve, "a label still counts")
      observe(2 * took)
      assert.strictEqual(other(), unlearned, "forgotten when a load took more")
      ;(yield* Versions).set("a", "0.34.0")
      assert.strictEqual(other(), unlearned)
    }).pipe(Effect.provide(learned())))

  it.effect("a server from before 0.30 has flash attention for some models only", () =>
    Effect.gen(function* () {
      const { footprints, known } = yield* setup
      yield* footprints.prepare(known, a)
      const reserve = () => footprints.of(known, a, { ...run, context: 65_536 })!.reserve
      const now = reserve()
      ;(yield* Versions).set("a", "0.24.0")
      assert.isAbove(reserve(), 1.5 * now)
      ;(yield* Versions).delete("a")
      assert.strictEqual(reserve(), now, "while the version is not known, it counts as a current one")
    }).pipe(Effect.provide(learned())))

  it.effect("the manifest overrides both, and a lesson still reports when it was not enough", () =>
    Effect.gen(function* () {
      const { footprints, known, unknown } = yield* setup
      yield* footprints.prepare(known, a)
      assert.deepInclude(footprints.of(unknown, a, run), { reserve: 1e9, source: "manifest" })
      const lesson = footprints.learn(unknown, a, run, { size: 3e9, sizeVram: 3e9 })
      assert.isAtLeast(lesson.exceeded, 2e9)
      assert.deepInclude(lesson.after, { reserve: 1e9, source: "manifest" })
      assert.strictEqual(footprints.of(known, a, run)?.parts?.overhead, 123)
    }).pipe(
      Effect.provide(learned({ manifest: `{"models":{"unknown":[{"total":"1 GB"}],"KNOWN":[{"overhead":123}]}}` })),
    ))

  it.effect("does not start with an invalid manifest", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(ModelFootprints, learned({ manifest: "{}" })))
      assert.strictEqual(error._tag, "FootprintError")
    }))

  it.effect("reads the manifest from a file, and names the file in the error", () =>
    Effect.gen(function* () {
      const text = new Map([["pins.json", `{"models":{"unknown":[{"total":"1 GB"}]}}`], ["wrong.json", "{}"]])
      const files = FileSystem.layerNoop({
        readFileString: (path) =>
          text.has(path)
            ? Effect.succeed(text.get(path)!)
            : Effect.fail(PlatformError.badArgument({ module: "test", method: "read" })),
      })
      const from = (path: string) =>
        LearnedModelFootprints.fromFile(path).pipe(Layer.provide(files), Layer.provideMerge(around))
      for (const path of ["wrong.json", "nowhere.json"]) {
        const error = yield* Effect.flip(Effect.provide(ModelFootprints, from(path)))
        assert.match(error.message, new RegExp(`^${path}: .`))
      }
      const { footprints, unknown } = yield* Effect.provide(setup, from("pins.json"))
      assert.deepInclude(footprints.of(unknown, a, run), { reserve: 1e9, source: "manifest" })
    }))
})

describe("MockModelFootprints", () => {
  it.effect("returns what its handle sets", () =>
    Effect.gen(function* () {
      const footprints = yield* ModelFootprints
      const handle = yield* MockModelFootprints.MockFootprints
      const known = (yield* ModelCatalog).peek("known")!
      handle.set("known:latest", 7e9)
      assert.strictEqual(footprints.of(known, a, run)?.reserve, 7e9)
      footprints.learn(known, a, run, { size: 8e9, sizeVram: 8e9 })
      assert.lengthOf(handle.observations(), 1)
      handle.set("known:latest", undefined)
      assert.isUndefined(footprints.of(known, a, run))
    }).pipe(Effect.provide(Layer.merge(MockModelFootprints.layer(), catalog))))
})

describe("shapeOn", () => {
  it("takes from labels what a server does not report", () => {
    const on = (labels: Record<string, string>) =>
      shapeOn(backend({ url: "http://a", parallelism: 4, labels }), { context: 8192 })
    assert.deepStrictEqual(on({}), shape({ context: 8192, parallelism: 4 }))
    assert.deepInclude(on({ "kv-cache-type": "q8_0", "flash-attention": "on", device: "cpu" }), {
      kvType: "q8_0",
      flashAttention: "on",
      devices: 0,
    })
    assert.deepStrictEqual(on({ "kv-cache-type": "q3", "flash-attention": "maybe", device: "gpu" }), on({}))
  })
})
