import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import * as OllamaModelCatalog from "../../../src/layers/catalog/OllamaModelCatalog.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import { BackendHealth } from "../../../src/services/BackendHealth.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import * as ModelCatalogContract from "../../../src/testing/contracts/ModelCatalog.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import { holds } from "../../support/checks.ts"
import * as FakeOllamaApi from "../../support/fakeOllamaApi.ts"

const { FakeServers, tagsRow } = FakeOllamaApi
const fleet = Layer.orDie(StaticFleet.layer([{ url: "http://a", id: "a" }, { url: "http://b", id: "b" }]))
const ollama = OllamaModelCatalog.layer().pipe(
  Layer.provideMerge(Layer.mergeAll(FakeOllamaApi.layer, fleet, MockBackendHealth.layer())),
)
const llama = tagsRow("llama3.1:8b")
const embed = tagsRow("embed:latest", { capabilities: ["embedding"] })
const big = tagsRow("big:cloud", { remote_host: "https://ollama.com:443", remote_model: "big" })

holds(
  "OllamaModelCatalog is a ModelCatalog",
  ModelCatalogContract.contract(ollama, {
    ready: Effect.gen(function* () {
      const { server } = yield* FakeServers
      server("a").models = [llama, embed]
      server("b").models = [llama, big]
      yield* (yield* ModelCatalog).refresh
    }),
    drop: Effect.gen(function* () {
      const { server } = yield* FakeServers
      server("a").models = [llama]
      yield* elapse("30 seconds", "5 seconds")
    }),
  }),
)
const listed = [
  { name: "llama3.1:8b", owners: ["a", "b"] },
  { name: "big:cloud", owners: ["b"] },
]
holds(
  "MockModelCatalog is a ModelCatalog",
  ModelCatalogContract.contract(
    MockModelCatalog.layer([...listed, { name: "embed", owners: ["a"], capabilities: ["embedding"] }]),
    {
      ready: Effect.void,
      drop: Effect.map(MockModelCatalog.MockModels, ({ set }) => set(listed)),
    },
  ),
)

const setup = Effect.gen(function* () {
  const { server } = yield* FakeServers
  const catalog = yield* ModelCatalog
  const { set } = yield* MockBackendHealth.MockHealth
  const asked = (id: string, call: string) => server(id).calls.filter((each) => each.startsWith(call)).length
  return { server, catalog, asked, health: set, a: server("a"), b: server("b") }
})

const weights = (digit: string) => ({
  modelfile: `# a comment\nFROM /var/models/blobs/sha256-${digit.repeat(64)}\nTEMPLATE x`,
})

describe("OllamaModelCatalog", () => {
  it.effect("finds a model that was pulled a moment ago", () =>
    Effect.gen(function* () {
      const { a, catalog } = yield* setup
      yield* elapse("2 seconds")
      a.models = [tagsRow("new:latest")]
      assert.isUndefined(catalog.peek("new"))
      assert.strictEqual((yield* catalog.find("new")).key, "new:latest")
    }).pipe(Effect.provide(ollama)))

  it.effect("many misses cause one reading, and no other within a second", () =>
    Effect.gen(function* () {
      const { a, asked, catalog } = yield* setup
      yield* elapse("2 seconds")
      const before = asked("a", "tags")
      a.delay = 500
      const fibers = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => `missing-${i}`),
        (name) => Effect.forkChild(Effect.flip(catalog.find(name)), { startImmediately: true }),
      )
      yield* Fiber.interrupt(fibers[0]!)
      yield* elapse("500 millis")
      for (const fiber of fibers.slice(1)) assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "ModelMissing")
      assert.strictEqual(asked("a", "tags"), before + 1)
      yield* Effect.flip(catalog.find("missing"))
      assert.strictEqual(asked("a", "tags"), before + 1)
      yield* elapse("1 second")
      const late = yield* Effect.forkChild(Effect.flip(catalog.find("missing")))
      yield* elapse("500 millis")
      yield* Fiber.join(late)
      assert.strictEqual(asked("a", "tags"), before + 2)
    }).pipe(Effect.provide(ollama)))

  it.effect("no model counts as missing while no backend answers", () =>
    Effect.gen(function* () {
      const { a, b, catalog, health } = yield* setup
      a.models = [llama]
      yield* catalog.refresh
      a.up = b.up = false
      yield* elapse("30 seconds", "5 seconds")
      assert.isDefined(catalog.peek("llama3.1:8b"), "the backend keeps the models that it had")
      assert.strictEqual((yield* Effect.flip(catalog.find("x"))).reason._tag, "CatalogUnavailable")
      b.up = true
      yield* elapse("1 second")
      assert.strictEqual((yield* Effect.flip(catalog.find("x"))).reason._tag, "ModelMissing")
      health("b", "unhealthy")
      yield* elapse("1 second")
      assert.strictEqual((yield* Effect.flip(catalog.find("x"))).reason._tag, "CatalogUnavailable")
    }).pipe(Effect.provide(ollama)))

  it.effect("finds models again after a reading that ended with a defect", () => {
    let broken = false
    const health = Layer.succeed(BackendHealth, {
      status: () => {
        if (broken) {
          broken = false
          throw new Error("health is broken")
        }
        return { state: "healthy", reason: "", since: 0, version: undefined }
      },
      record: () => {},
      check: Effect.void,
      onChange: () => () => {},
    })
    return Effect.gen(function* () {
      const { server } = yield* FakeServers
      const catalog = yield* ModelCatalog
      yield* catalog.refresh
      server("a").models = [llama]
      broken = true
      assert.strictEqual((yield* Effect.flip(catalog.find("llama3.1:8b"))).reason._tag, "ModelMissing")
      yield* elapse("1 second")
      assert.strictEqual((yield* catalog.find("llama3.1:8b")).key, "llama3.1:8b")
    }).pipe(
      Effect.provide(
        OllamaModelCatalog.layer().pipe(Layer.provideMerge(Layer.mergeAll(FakeOllamaApi.layer, fleet, health))),
      ),
    )
  })

  it.effect("does not wait for an unhealthy backend, and reads it as soon as it is healthy", () =>
    Effect.gen(function* () {
      const { asked, b, catalog, health } = yield* setup
      yield* elapse("2 seconds")
      health("b", "unhealthy")
      const before = asked("b", "tags")
      yield* Effect.flip(catalog.find("new"))
      assert.strictEqual(asked("b", "tags"), before)
      b.models = [tagsRow("new:latest")]
      health("b", "healthy")
      yield* elapse("0 millis")
      assert.isDefined(catalog.peek("new"))
    }).pipe(Effect.provide(ollama)))

  it.effect("describes each manifest once: its weights, and its capabilities where the list lacks them", () =>
    Effect.gen(function* () {
      const { a, asked, b, catalog } = yield* setup
      const old = tagsRow("old-embed:latest", { capabilities: null })
      a.models = [llama, old, tagsRow("alias:latest")]
      b.models = [llama, big]
      a.show = b.show = (name) => ({
        ...weights(name === "old-embed:latest" ? "A" : "b"),
        capabilities: name === "old-embed:latest" ? ["embedding"] : ["completion"],
      })
      yield* catalog.refresh
      const model = (name: string) => catalog.peek(name)!
      assert.deepStrictEqual(catalog.blob(model("old-embed"), "a"), Option.some("a".repeat(64)))
      assert.deepStrictEqual(catalog.blob(model("old-embed"), "b"), Option.none())
      assert.deepStrictEqual(catalog.blob(model("alias"), "a"), catalog.blob(model("llama3.1:8b"), "b"))
      assert.deepStrictEqual(model("old-embed").capabilities, ["embedding"])
      yield* elapse("2 minutes", "10 seconds")
      assert.strictEqual(asked("a", "show llama3.1:8b") + asked("b", "show llama3.1:8b"), 1)
      assert.strictEqual(asked("b", "show big"), 0)
      a.models = [llama, { ...old, digest: "another" }]
      yield* elapse("30 seconds", "10 seconds")
      assert.strictEqual(asked("a", "show old-embed"), 2)
    }).pipe(Effect.provide(ollama)))

  it.effect("asks one backend about a manifest that several list, also where all are read at the same time", () =>
    Effect.gen(function* () {
      const { a, asked, b, catalog } = yield* setup
      yield* catalog.refresh
      a.delay = b.delay = 400
      a.models = b.models = [llama, embed]
      a.show = b.show = () => weights("a")
      const reading = yield* Effect.forkChild(catalog.refresh, { startImmediately: true })
      yield* elapse("5 seconds", "100 millis")
      yield* Fiber.join(reading)
      assert.strictEqual(asked("a", "show llama") + asked("b", "show llama"), 1)
      assert.strictEqual(asked("a", "show embed") + asked("b", "show embed"), 1)
      for (const id of ["a", "b"]) {
        assert.deepStrictEqual(catalog.blob(catalog.peek("embed")!, id), Option.some("a".repeat(64)))
      }
    }).pipe(Effect.provide(ollama)))

  it.effect("asks the next backend about a manifest where the first one does not answer", () =>
    Effect.gen(function* () {
      const { a, asked, b, catalog } = yield* setup
      yield* catalog.refresh
      a.delay = b.delay = 400
      a.models = b.models = [llama]
      a.show = b.show = () => weights("a")
      const reading = yield* Effect.forkChild(catalog.refresh, { startImmediately: true })
      yield* elapse("500 millis", "100 millis")
      assert.strictEqual(asked("a", "show llama") + asked("b", "show llama"), 1)
      const first = asked("a", "show llama") === 1 ? a : b
      first.up = false
      yield* elapse("5 seconds", "100 millis")
      yield* Fiber.join(reading)
      assert.isTrue(Option.isSome(catalog.blob(catalog.peek("llama3.1:8b")!, "a")))
      assert.isAbove(asked("a", "show llama") + asked("b", "show llama"), 1)
    }).pipe(Effect.provide(ollama)))

  it.effect("owners may differ in digest; unknown spellings are not remembered", () =>
    Effect.gen(function* () {
      const { a, b, catalog } = yield* setup
      a.models = [llama]
      b.models = [{ ...llama, digest: "older" }]
      yield* catalog.refresh
      const model = catalog.peek("llama3.1:8b")!
      assert.strictEqual(model.owners.get("a")?.digest, "manifest-llama3.1:8b")
      assert.strictEqual(model.owners.get("b")?.digest, "older")
      assert.isUndefined(catalog.peek("x".repeat(100_000)))
      for (let i = 0; i < 5000; i++) {
        assert.strictEqual(catalog.peek(`${" ".repeat(i % 400)}llama3.1:8b${" ".repeat(i / 400)}`), model)
      }
    }).pipe(Effect.provide(ollama)))
})
