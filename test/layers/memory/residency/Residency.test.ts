import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as UnmanagedVramLedger from "../../../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PollingResidency from "../../../../src/layers/memory/residency/PollingResidency.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../../src/services/ModelCatalog.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import * as ResidencyContract from "../../../../src/testing/contracts/Residency.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../../../src/testing/mocks/MockResidency.ts"
import { holds } from "../../../support/checks.ts"
import * as FakeOllamaApi from "../../../support/fakeOllamaApi.ts"
import { runs } from "../../../support/runs.ts"

const { FakeServers, psRow } = FakeOllamaApi
const owners = ["a", "b"]
const catalog = MockModelCatalog.layer([
  { name: "m", owners },
  { name: "n", owners },
  { name: "copy-of-n", owners, digest: "sha-n:latest" },
  { name: "m-tuned", owners, blob: "weights" },
  { name: "m-base", owners, blob: "weights" },
  { name: "r:cloud", owners },
])
const fleet = Layer.orDie(StaticFleet.layer([{ url: "http://a", id: "a" }, { url: "http://b", id: "b" }]))
const a = backend({ url: "http://a", id: "a" })
const b = backend({ url: "http://b", id: "b" })
const polling = PollingResidency.layer().pipe(
  Layer.provideMerge(Layer.mergeAll(FakeOllamaApi.layer, fleet, catalog, UnmanagedVramLedger.layer)),
)

holds(
  "PollingResidency is a Residency",
  ResidencyContract.contract(polling, {
    end: (_model, failure) =>
      Effect.gen(function* () {
        const fake = (yield* FakeServers).server("a")
        fake.loadFailure = failure === undefined ? undefined : { status: 500, description: failure }
        yield* elapse("1000 millis")
      }),
  }),
)
holds(
  "MockResidency is a Residency",
  ResidencyContract.contract(Layer.merge(MockResidency.layer(), catalog), {
    end: (model, failure) => Effect.map(MockResidency.MockLoads, ({ finish }) => finish("a", model, failure)),
  }),
)

const setup = Effect.gen(function* () {
  const { peek } = yield* ModelCatalog
  const { server } = yield* FakeServers
  const residency = yield* Residency
  const model = (name: string) => peek(name)!
  return { residency, server, model, fake: server("a"), m: model("m"), n: model("n") }
})

describe("PollingResidency", () => {
  it.effect("reads which models are in memory, under every spelling and alias", () =>
    Effect.gen(function* () {
      const { fake, m, model, n, residency } = yield* setup
      fake.resident = [
        psRow("M:latest", 600_000),
        psRow("n:latest", 600_000, { digest: "sha-n:latest" }),
        psRow("m-base:latest", 600_000),
      ]
      yield* elapse("5 seconds")
      assert.strictEqual(residency.state("a", m), "resident")
      assert.strictEqual(residency.state("a", n), "resident")
      assert.strictEqual(residency.state("a", model("copy-of-n")), "resident")
      assert.strictEqual(residency.state("a", model("m-tuned")), "resident")
      assert.strictEqual(residency.state("b", m), "absent")
      const [row] = residency.list("a")
      assert.deepInclude(row, { size: 5e9, contextLength: 4096, expiresAt: 600_000, source: "observed" })
      residency.request(a, model("m-tuned"))
      assert.isFalse(fake.calls.some((call) => call.startsWith("load")))
    }).pipe(Effect.provide(polling)))

  it.effect("a model whose keep-alive has run out is absent, unless it was used since, or is still listed because it is busy", () =>
    Effect.gen(function* () {
      const { fake, m, n, residency } = yield* setup
      fake.resident = [psRow("m:latest", 7000), psRow("n:latest", 7000)]
      yield* elapse("6 seconds")
      residency.touch("a", n)
      yield* elapse("2 seconds")
      assert.strictEqual(residency.state("a", m), "absent")
      assert.deepStrictEqual(residency.list("a").map(({ model }) => model), ["n:latest"])
      assert.strictEqual(residency.state("a", n), "resident")
      yield* elapse("3 seconds")
      assert.strictEqual(residency.state("a", m), "resident", "still listed after 10 s, so busy")
      fake.resident = [psRow("m:latest", Date.parse("2319-01-01"))]
      yield* elapse("5 seconds")
      assert.strictEqual(residency.list("a")[0]?.expiresAt, Infinity)
      assert.strictEqual(residency.state("a", n), "absent")
    }).pipe(Effect.provide(polling)))

  it.effect("what the router has done counts until a reading that began after it", () =>
    Effect.gen(function* () {
      const { fake, m, n, residency } = yield* setup
      // Readings from 5 to 7 s, 10 to 12 s, and so on.
      fake.psDelay = 2000
      yield* elapse("5500 millis")
      residency.touch("a", m)
      yield* elapse("2 seconds")
      assert.strictEqual(residency.state("a", m), "resident", "the reading began before the touch")
      fake.resident = [psRow("n:latest", 600_000)]
      yield* elapse("5 seconds")
      assert.strictEqual(residency.state("a", m), "absent")
      assert.strictEqual(residency.state("a", n), "resident")
      yield* elapse("3500 millis")
      residency.forget("a", n)
      yield* elapse("1500 millis")
      assert.strictEqual(residency.state("a", n), "absent", "the reading began before the model was forgotten")
      yield* elapse("5 seconds")
      assert.strictEqual(residency.state("a", n), "resident")
    }).pipe(Effect.provide(polling)))

  it.effect("a slow or failed reading changes nothing", () =>
    Effect.gen(function* () {
      const { fake, m, residency } = yield* setup
      fake.resident = [psRow("m:latest", 600_000)]
      yield* residency.refresh
      fake.resident = []
      fake.psDelay = 60_000
      yield* elapse("12 seconds")
      assert.strictEqual(residency.state("a", m), "resident")
      fake.up = false
      yield* elapse("12 seconds")
      assert.strictEqual(residency.state("a", m), "resident")
      fake.up = true
      fake.psDelay = 0
      yield* elapse("10 seconds")
      assert.strictEqual(residency.state("a", m), "absent")
    }).pipe(Effect.provide(polling)))

  it.effect("loads of one backend are serial, of two parallel, and a reading meanwhile does not end them", () =>
    Effect.gen(function* () {
      const { fake, m, n, residency, server } = yield* setup
      fake.loadMillis = 8000
      residency.request(a, m)
      residency.request(a, n)
      residency.request(b, m)
      yield* elapse("7 seconds")
      assert.deepStrictEqual(fake.calls.filter((call) => call.startsWith("load")), ["load m:latest"])
      assert.strictEqual(residency.state("a", m), "loading")
      assert.strictEqual(residency.state("a", n), "loading")
      assert.strictEqual(residency.state("b", m), "resident")
      yield* elapse("2 seconds")
      assert.strictEqual(residency.state("a", m), "resident")
      assert.strictEqual(residency.state("a", n), "loading")
      yield* elapse("8 seconds")
      assert.strictEqual(residency.state("a", n), "resident")
      assert.strictEqual(fake.loadingMost, 1)
      assert.strictEqual(residency.loadMillis("a", n), 8000)
      assert.strictEqual(residency.loadMillis("b", n), 3500)
      assert.deepStrictEqual(
        (yield* VramLedger).allocations().map((each) => `${each.backend} ${each.model} ${each.state()}`).toSorted(),
        ["a m:latest resident", "a n:latest resident", "b m:latest resident"],
      )
      server("a").resident = []
      yield* elapse("5 seconds")
      assert.lengthOf((yield* VramLedger).allocations(), 1)
    }).pipe(Effect.provide(polling)))

  it.effect("cools down after failures, for 1 second doubling to 30 seconds, and tells listeners when that is over", () =>
    Effect.gen(function* () {
      const { fake, m, residency } = yield* setup
      fake.loadFailure = { status: 500, description: "no" }
      fake.loadMillis = 0
      const waits: Array<number> = []
      for (let i = 0; i < 7; i++) {
        residency.request(a, m)
        yield* elapse("0 millis")
        assert.isDefined(residency.failure("a", m))
        let told = false
        const stop = residency.onChange(() => told = true)
        let millis = 0
        while (residency.failure("a", m) !== undefined) {
          yield* TestClock.adjust(250)
          millis += 250
        }
        assert.isTrue(told)
        stop()
        waits.push(millis / 1000)
      }
      assert.deepStrictEqual(waits, [1, 2, 4, 8, 16, 30, 30])
      fake.loadFailure = undefined
      yield* residency.load(a, m)
      assert.isUndefined(residency.failure("a", m))
    }).pipe(Effect.provide(polling)))

  it.effect("fails a load after 300 seconds, also one that finds no room", () =>
    Effect.gen(function* () {
      const { fake, m, n, residency } = yield* setup
      fake.loadMillis = 3_600_000
      const first = yield* Effect.forkChild(Effect.flip(residency.load(a, m)), { startImmediately: true })
      const ledger = yield* VramLedger
      const other = ledger.reserve(b, MockModelCatalog.model("something else"))
      const second = yield* Effect.forkChild(Effect.flip(residency.load(b, n)), { startImmediately: true })
      yield* elapse("306 seconds", "1 second")
      assert.match((yield* Fiber.join(first)).description, /not loaded within 5m/)
      assert.match((yield* Fiber.join(second)).description, /no room/)
      assert.strictEqual(fake.loading, 0)
      if (!("_tag" in other)) other.move("gone")
      assert.lengthOf(ledger.allocations(), 0)
    }).pipe(Effect.provide(polling)))

  it.effect("a load that waits for its turn does not wait for room", () =>
    Effect.gen(function* () {
      const { fake, m, model, n, residency } = yield* setup
      fake.loadMillis = 200_000
      residency.request(a, m)
      residency.request(a, n)
      residency.request(a, model("m-base"))
      yield* elapse("601 seconds", "5 seconds")
      assert.deepStrictEqual(
        fake.calls.filter((call) => call.startsWith("load")),
        ["load m:latest", "load n:latest", "load m-base:latest"],
      )
      assert.isUndefined(residency.failure("a", model("m-base")))
    }).pipe(Effect.provide(polling)))

  it.effect("an alias that was queued behind the same weights is not loaded again", () =>
    Effect.gen(function* () {
      const { fake, model, residency } = yield* setup
      residency.request(a, model("m-base"))
      residency.request(a, model("m-tuned"))
      yield* elapse("3 seconds")
      assert.deepStrictEqual(fake.calls.filter((call) => call.startsWith("load")), ["load m-base:latest"])
      assert.strictEqual(residency.state("a", model("m-tuned")), "resident")
      assert.lengthOf((yield* VramLedger).allocations(), 1)
    }).pipe(Effect.provide(polling)))

  it.effect("a model with a smaller context than asked for is loaded again, one with a larger context is not", () =>
    Effect.gen(function* () {
      const { fake, m, residency } = yield* setup
      fake.resident = [psRow("m:latest", 600_000)]
      yield* residency.refresh
      residency.request(a, m, { numCtx: 4096 })
      assert.strictEqual(residency.state("a", m), "resident")
      residency.request(a, m, { numCtx: 8192 })
      assert.strictEqual(residency.state("a", m), "loading")
    }).pipe(Effect.provide(polling)))

  it.effect("a load of the same weights under a second name joins the first load", () =>
    Effect.gen(function* () {
      for (const [first, second] of [["m-base", "m-tuned"], ["n", "copy-of-n"]] as const) {
        const { fake, model, n, residency } = yield* setup
        fake.calls.length = 0
        // One is running, the other one is queued behind it.
        residency.request(a, first === "n" ? model("m") : n)
        for (const name of [first, second]) residency.request(a, model(name))
        assert.strictEqual(residency.state("a", model(second)), "loading")
        assert.lengthOf(residency.list("a").filter(({ state }) => state === "loading"), 2)
        const waits = yield* Effect.forkChild(residency.load(a, model(second)), { startImmediately: true })
        yield* elapse("5 seconds")
        yield* Fiber.join(waits)
        assert.strictEqual(residency.state("a", model(second)), "resident")
        residency.forget("a")
        fake.resident = []
        yield* residency.refresh
      }
    }).pipe(Effect.provide(polling)))

  it.effect("weights that failed to load are not tried any sooner under another name", () =>
    Effect.gen(function* () {
      const { fake, model, residency } = yield* setup
      fake.loadFailure = { status: 500, description: "no" }
      const [base, tuned] = [model("m-base"), model("m-tuned")]
      residency.request(a, base)
      yield* elapse("1100 millis")
      assert.isUndefined(residency.failure("b", tuned))
      assert.strictEqual(residency.failure("a", tuned)?.model, "m-base:latest")
      residency.request(a, tuned)
      assert.strictEqual(residency.state("a", tuned), "absent")
      yield* elapse("1 second")
      residency.request(a, tuned)
      yield* elapse("1100 millis")
      // The second failure of the same weights: twice the cool-down.
      yield* elapse("1500 millis", "500 millis")
      assert.isDefined(residency.failure("a", base))
      yield* elapse("1 second")
      fake.loadFailure = undefined
      residency.request(a, base)
      yield* elapse("1100 millis")
      assert.strictEqual(residency.state("a", tuned), "resident")
      assert.strictEqual(fake.calls.filter((call) => call.startsWith("load")).length, 3)
    }).pipe(Effect.provide(polling)))

  it.effect("a pin holds for every name of the weights", () =>
    Effect.gen(function* () {
      const { fake, model, residency } = yield* setup
      const pin = residency.pin("a", model("m-tuned"))
      residency.request(a, model("m-base"))
      yield* elapse("2 seconds")
      assert.isFalse(residency.unload(a, model("m-base")))
      assert.lengthOf(fake.calls.filter((call) => call.startsWith("unload")), 0)
      pin.release()
      assert.isTrue(residency.unload(a, model("m-base")))
    }).pipe(Effect.provide(polling)))

  /** Canonical names of the same weights. */
  const weights: Readonly<Record<string, string>> = {
    "copy-of-n:latest": "n:latest",
    "m-tuned:latest": "m-base:latest",
  }

  const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Step = Schema.Struct({ what: upTo(9), backend: upTo(1), model: upTo(4), millis: upTo(4000) })

  it.effect.prop(
    "invariant 8, whatever the history: one load of a set of weights on a backend, one load at a time on a backend, and nothing left over",
    { history: Schema.Array(Step).check(Schema.isMaxLength(30)) },
    ({ history }) =>
      Effect.gen(function* () {
        const { model, residency, server } = yield* setup
        const ledger = yield* VramLedger
        const names = ["m", "n", "copy-of-n", "m-tuned", "m-base"]
        for (const { backend, millis, model: index, what } of history) {
          const id = owners[backend]!
          const one = model(names[index]!)
          if (what <= 3) residency.request(backend === 0 ? a : b, one)
          else if (what === 4) residency.touch(id, one)
          else if (what === 5) residency.forget(id, millis < 1000 ? undefined : one)
          else if (what === 6) server(id).loadFailure = millis < 2000 ? undefined : { status: 500, description: "no" }
          else if (what === 7) server(id).resident = []
          else if (what === 8) server(id).psDelay = millis
          else yield* TestClock.adjust(millis)
          for (const each of owners) {
            const loading = ledger.allocations().filter((all) => all.backend === each && all.state() === "loading")
            assert.isAtMost(loading.length, 1)
            const rows = residency.list(each)
            assert.strictEqual(new Set(rows.map((row) => row.model)).size, rows.length)
            const loads = rows.filter(({ state }) => state === "loading").map((row) => weights[row.model] ?? row.model)
            assert.strictEqual(new Set(loads).size, loads.length, loads.join())
          }
        }
        yield* elapse("60 seconds", "5 seconds")
        for (const each of owners) {
          assert.isAtMost(server(each).loadingMost, 1)
          assert.strictEqual(server(each).loading, 0)
          assert.isTrue(residency.list(each).every(({ state }) => state === "resident"))
          const resident = new Set(residency.list(each).map((row) => row.model))
          for (const allocation of ledger.allocations()) {
            assert.strictEqual(allocation.state(), "resident")
            if (allocation.backend === each) assert.isTrue(resident.has(allocation.model), allocation.model)
          }
        }
      }).pipe(Effect.provide(polling)),
    { arbitrary: { runs: runs(200, 1000), size: 60, seed: "residency" } },
  )
})
