/** What operators change: backends and models of a simulated fleet, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as PinnedPlan from "../../../src/plugins/plans/PinnedPlan.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import { ApiKeys } from "../../../src/services/ApiKeys.ts"
import { Fleet, FleetError, InvalidFleet } from "../../../src/services/Fleet.ts"
import { Residency } from "../../../src/services/Residency.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as LogControl from "../../../src/services/LogControl.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { changes, events, operator } from "../../support/admin.ts"
import { overManaged } from "../../support/managed.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"

const chat = (model: string, prompt: string) => ask("/api/generate", { model, prompt })
const started = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Calls to inference paths that a backend has got, by state. */
const served = (id: string) =>
  Effect.map(
    SimulatedFleet.SimulatedFleet,
    ({ get }) => get(url(id)).calls.filter(({ path }) => path === "/api/generate").length,
  )

const modelsOf = (told: { readonly json: { readonly models: ReadonlyArray<{ model: string; state: string }> } }) =>
  told.json.models.map(({ model, state }) => `${model} ${state}`)

describe("drain", () => {
  for (const action of ["drain", "isolate"] as const) {
    it.effect(`${action}: under load nothing is lost, and the backend gets no new requests`, () =>
      Effect.gen(function* () {
        const { call } = yield* operator()
        yield* TestClock.adjust("6 seconds")
        // Four at a time on each backend, the rest waits: some run on `a`, some wait, some come later.
        const first = yield* Effect.forEach(Array.from({ length: 24 }), (_, i) => started(chat("tiny-eos", `${i}`)))
        yield* TestClock.adjust("200 millis")
        const before = yield* served("a")
        assert.isAbove(before, 0)
        const { json, status } = yield* call(`POST /admin/backends/a/${action}`)
        assert.strictEqual(status, 200)
        assert.strictEqual(json.backend.member, action === "drain" ? "draining" : "isolated")
        assert.isAbove(json.backend.streams, 0)
        assert.match(json.done, new RegExp(`${json.backend.streams} requests are under way`))
        const later = yield* Effect.forEach(Array.from({ length: 8 }), (_, i) => started(chat("tiny-eos", `l${i}`)))
        yield* TestClock.adjust("60 seconds")
        const ended = yield* Effect.forEach([...first, ...later], Fiber.join)
        for (const { reply, settled } of ended) {
          assert.deepStrictEqual([settled.result, settled.status], ["answered", 200])
          assert.include(reply.text, `"done":true`)
        }
        assert.strictEqual(yield* served("a"), before, "no new requests")
        assert.isAbove(yield* served("b"), 8)
        const { json: drained } = yield* call("GET /admin/backends/a")
        assert.strictEqual(drained.streams, 0)

        assert.strictEqual((yield* call("POST /admin/backends/a/undrain")).json.backend.member, "active")
        const again = yield* Effect.forEach(Array.from({ length: 8 }), (_, i) => started(chat("tiny-eos", `u${i}`)))
        yield* TestClock.adjust("60 seconds")
        yield* Effect.forEach(again, Fiber.join)
        assert.isAbove(yield* served("a"), before, "new requests again")
        assert.deepStrictEqual(yield* idle, nothing)
        assert.deepStrictEqual(yield* changes, [
          ["admin", action, "a", undefined, "done"],
          ["admin", "undrain", "a", undefined, "done"],
        ])
      }).pipe(Effect.provide(
        over({ a: { decodeRate: 20, parallelism: 4 }, b: { decodeRate: 20, parallelism: 4 } }, {
          events,
          leases: MemoryLeases.layerFixed,
        }, { parallelism: 4 }),
      )))
  }

  it.effect("a request that waits when the only backend is drained is refused at once, and one that comes after", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const running = yield* started(chat("tiny-eos", "running"))
      const waiting = yield* started(chat("tiny-eos", "waiting"))
      yield* TestClock.adjust("100 millis")
      yield* call("POST /admin/backends/a/drain")
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* Fiber.join(running)).settled.status, 200)
      assert.strictEqual((yield* Fiber.join(waiting)).settled.refusal?.reason, "NoBackend")
      assert.strictEqual((yield* chat("tiny-eos", "after")).settled.refusal?.reason, "NoBackend")
    }).pipe(Effect.provide(over({ a: { decodeRate: 20 } }, { events, leases: MemoryLeases.layerFixed }))))

  it.effect("says so when there is nothing to change", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      assert.match((yield* call("POST /admin/backends/a/undrain")).json.done, /was active already/)
      yield* call("POST /admin/backends/a/drain")
      assert.match((yield* call("POST /admin/backends/a/drain")).json.done, /was draining already/)
    }).pipe(Effect.provide(over({ a: {} }, { events }))))
})

const card = { gpus: ["24 GiB"], loadTime: "4 seconds" } as const

describe("load, unload, pin, unpin and prewarm", () => {
  it.effect("a load can be asked for, and waited for", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const asked = yield* call("POST /admin/backends/a/load", { model: "tiny-eos" })
      assert.match(asked.json.done, /load of tiny-eos:latest on a has been asked for/)
      assert.deepStrictEqual(modelsOf({ json: asked.json.backend }), ["tiny-eos:latest loading"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(modelsOf(yield* call("GET /admin/backends/a")), ["tiny-eos:latest resident"])
      assert.match(
        (yield* call("POST /admin/backends/a/load", { model: "Tiny-EOS" })).json.done,
        /is in the memory of a/,
      )

      const waited = yield* started(call("POST /admin/backends/a/load", { model: "tiny-b", wait: true }))
      yield* TestClock.adjust("20 seconds")
      const { json, status } = yield* Fiber.join(waited)
      assert.strictEqual(status, 200, JSON.stringify(json))
      assert.match(json.done, /tiny-b:latest was loaded on a/)
      const { json: state } = yield* call("GET /admin/devices")
      const [device] = state.devices
      assert.sameMembers(device.models.map(({ model }: { model: string }) => model), [
        "tiny-eos:latest",
        "tiny-b:latest",
      ])
      assert.strictEqual(
        device.held,
        device.models.reduce((sum: number, { bytes }: { bytes: number }) => sum + bytes, 0),
      )
      assert.strictEqual(device.reserve, 2 * 1024 ** 3)
      assert.strictEqual(device.total, 24 * 1024 ** 3)
    }).pipe(Effect.provide(overManaged({ a: card }, { events }))))

  it.effect("a load that fails is told with 502, and is not repeated at once", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const { get } = yield* SimulatedFleet.SimulatedFleet
      get(url("a")).script(SimulatedFleet.Fault.refuse, { path: "/api/generate" })
      const waited = yield* started(call("POST /admin/backends/a/load", { model: "tiny-eos", wait: true }))
      yield* TestClock.adjust("500 millis")
      const failed = yield* Fiber.join(waited)
      assert.strictEqual(failed.status, 502, failed.text)
      assert.match(failed.json.error, /loading tiny-eos:latest on a/)
      const again = yield* call("POST /admin/backends/a/load", { model: "tiny-eos" })
      assert.strictEqual(again.status, 409)
      assert.match(again.json.error, /the last load failed a moment ago/)
      assert.deepStrictEqual(yield* changes, [
        ["admin", "load", "a", "tiny-eos", "failed"],
        ["admin", "load", "a", "tiny-eos", "refused"],
      ])
    }).pipe(Effect.provide(overManaged({ a: card }, { events }))))

  it.effect("a model that is in use, pinned, loading or absent is not unloaded, and the answer says which", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const unload = function* (status: number, words: RegExp) {
        const told = yield* call("POST /admin/backends/a/unload", { model: "tiny-eos" })
        assert.strictEqual(told.status, status, told.text)
        assert.match(told.json.error ?? told.json.done, words)
      }
      yield* unload(409, /is not in the memory of a/)
      yield* call("POST /admin/backends/a/load", { model: "tiny-eos" })
      yield* unload(409, /is loading on a/)
      yield* TestClock.adjust("10 seconds")

      const pinned = yield* call("POST /admin/backends/a/pin", { model: "tiny-eos" })
      assert.deepStrictEqual(pinned.json.backend.pins, ["tiny-eos:latest"])
      assert.isTrue(pinned.json.backend.models[0].pinned)
      assert.match((yield* call("POST /admin/backends/a/pin", { model: "tiny-eos" })).json.done, /already/)
      yield* unload(409, /is pinned on a: unpin it first/)
      assert.deepStrictEqual((yield* call("POST /admin/backends/a/unpin", { model: "tiny-eos" })).json.backend.pins, [])
      const twice = yield* call("POST /admin/backends/a/unpin", { model: "tiny-eos" })
      assert.deepStrictEqual([twice.status, twice.json.error], [409, "tiny-eos:latest is not pinned on a"])

      const running = yield* started(chat("tiny-eos", "hi"))
      yield* TestClock.adjust("100 millis")
      yield* unload(409, /is in use on a/)
      yield* TestClock.adjust("60 seconds")
      yield* Fiber.join(running)
      yield* unload(200, /is being unloaded from a/)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(modelsOf(yield* call("GET /admin/backends/a")), [])
    }).pipe(Effect.provide(overManaged({ a: { ...card, decodeRate: 20 } }, { events }))))

  it.effect("a pinned model outlives the need for its memory; without the pin it makes room", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      const { llama31, mistral } = SimulatedFleet.Model
      yield* TestClock.adjust("6 seconds")
      yield* call("POST /admin/backends/a/pin", { model: llama31.name })
      yield* call("POST /admin/backends/a/load", { model: llama31.name })
      yield* TestClock.adjust("30 seconds")
      const tight = yield* call("POST /admin/backends/a/prewarm", { model: mistral.name })
      assert.strictEqual(tight.status, 409, tight.text)
      assert.match(tight.json.error, /needs \d+ bytes, and a has \d+ bytes free/)
      yield* call("POST /admin/backends/a/load", { model: mistral.name })
      yield* TestClock.adjust("60 seconds")
      const has = Effect.map(call("GET /admin/backends/a"), (told) => modelsOf(told).join())
      assert.match(yield* has, /llama3\.1:8b resident/)
      assert.notMatch(yield* has, /mistral\S* resident/)
      yield* call("POST /admin/backends/a/unpin", { model: llama31.name })
      yield* TestClock.adjust("60 seconds")
      assert.match(yield* has, /mistral\S* resident/)
      assert.notMatch(yield* has, /llama/)
    }).pipe(Effect.provide(
      overManaged({
        a: {
          gpus: ["12 GiB"],
          loadTime: "1 second",
          contextLength: 8192,
          models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral],
        },
      }, { events }),
    )))

  it.effect("a prewarm goes into free memory, and waits for no other load", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      assert.match(
        (yield* call("POST /admin/backends/a/prewarm", { model: "tiny-eos" })).json.done,
        /into free memory of a/,
      )
      const second = yield* call("POST /admin/backends/a/prewarm", { model: "tiny-b" })
      assert.deepStrictEqual([second.status, second.json.error], [409, "another load is under way on a"])
      yield* TestClock.adjust("10 seconds")
      assert.match((yield* call("POST /admin/backends/a/prewarm", { model: "tiny-eos" })).json.done, /is resident on a/)
    }).pipe(Effect.provide(overManaged({ a: card }, { events }))))

  it.effect("what a plan pins, no operator unloads or unpins", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("30 seconds")
      for (
        const [action, words] of [["unload", /a plan keeps/], ["unpin", /a plan keeps .* not an operator/]] as const
      ) {
        const told = yield* call(`POST /admin/backends/a/${action}`, { model: "tiny-eos" })
        assert.strictEqual(told.status, 409)
        assert.match(told.json.error, words)
      }
      const { json } = yield* call("GET /admin/prewarm")
      assert.deepStrictEqual(
        json.prewarm.map(({ backend, model, state }: Record<string, string>) => [backend, model, state]),
        [
          ["a", "tiny-eos:latest", "resident"],
        ],
      )
    }).pipe(Effect.provide(overManaged({ a: card }, { events, plans: [PinnedPlan.make(["tiny-eos"])] }))))

  it.effect("the pins end with the routes", () =>
    Effect.gen(function* () {
      const residency = yield* Residency
      yield* Effect.scoped(Effect.gen(function* () {
        const { call } = yield* operator()
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual((yield* call("POST /admin/backends/a/pin", { model: "tiny-eos" })).status, 200)
      }))
      const { call } = yield* operator()
      assert.isFalse(
        (yield* call("GET /admin/backends/a")).json.models.some(({ pinned }: { pinned: boolean }) => pinned),
      )
      assert.deepStrictEqual((yield* call("GET /admin/backends/a")).json.pins, [])
      assert.isFalse(
        residency.pinned("a", { key: "tiny-eos:latest", owners: new Map(), capabilities: [], remote: false }),
      )
    }).pipe(Effect.provide(overManaged({ a: card }, { events }))))
})

describe("reload", () => {
  it.effect("reads the fleet, the keys and the backends now; what is wrong is told with 409", () => {
    const read = { fleet: 0, keys: 0 }
    let wrong = ""
    const changing = Layer.effect(
      Fleet,
      Effect.map(Fleet, (fleet) => ({
        ...fleet,
        reload: Effect.suspend(() => {
          read.fleet++
          return wrong === ""
            ? Effect.succeed(true)
            : Effect.fail(new FleetError({ reason: new InvalidFleet({ description: wrong }) }))
        }),
      })),
    ).pipe(Layer.provide(StaticFleet.layer([{ url: url("a"), id: "a" }])))
    const keys = Layer.effect(
      ApiKeys,
      Effect.map(ApiKeys, (keys) => ({ ...keys, reload: Effect.sync(() => read.keys++ < 0) })),
    ).pipe(Layer.provide(StaticApiKeys.layer([])))
    return Effect.gen(function* () {
      const { call } = yield* operator()
      const { get } = yield* SimulatedFleet.SimulatedFleet
      const readings = () => get(url("a")).calls.filter(({ path }) => path === "/api/ps").length
      yield* TestClock.adjust("1 second")
      const before = readings()
      const { json, status } = yield* call("POST /admin/reload")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(json.reloaded, [
        { what: "fleet", result: "changed" },
        { what: "keys", result: "unchanged" },
        ...["health", "catalog", "devices", "residency"].map((what) => ({ what, result: "read" })),
      ])
      assert.isAbove(readings(), before)
      wrong = "two backends are called a"
      const refused = yield* call("POST /admin/reload")
      assert.deepStrictEqual([refused.status, refused.json.error], [409, wrong])
      assert.deepStrictEqual(
        read,
        { fleet: 2, keys: 2 },
        "a fleet that is wrong does not keep the keys from being read",
      )
      assert.deepStrictEqual(yield* changes, [
        ["admin", "reload", undefined, undefined, "done"],
        ["admin", "reload", undefined, undefined, "refused"],
      ])
    }).pipe(Effect.provide(
      Layer.merge(keys, Standard.layer({ events })).pipe(
        Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
        Layer.provideMerge(changing),
        Layer.provideMerge(SimulatedFleet.layer({ [url("a")]: {} })),
      ),
    ))
  })
})

describe("the log", () => {
  it.effect("its level and its sampling are read and changed", () => {
    const log = LogControl.make({ level: "Info" })
    return Effect.gen(function* () {
      const { call } = yield* operator({ log })
      assert.deepStrictEqual((yield* call("GET /admin/log")).json, { level: "Info", sample: 1 })
      assert.deepStrictEqual((yield* call("POST /admin/log", { level: "Debug" })).json, { level: "Debug", sample: 1 })
      assert.deepStrictEqual((yield* call("POST /admin/log", { sample: 0.1 })).json, { level: "Debug", sample: 0.1 })
      for (const body of [{ level: "Loud" }, { sample: 2 }, { sample: "x" }, { sample: -1 }]) {
        const wrong = yield* call("POST /admin/log", body)
        assert.strictEqual(wrong.status, 400)
        assert.match(wrong.json.error, /level|sample/)
      }
      assert.deepStrictEqual([log.level(), log.sample()], ["Debug", 0.1])
      const [last] = (yield* call("GET /admin/changes")).json.changes
      assert.deepStrictEqual([last.action, last.result, last.reason], ["log", "done", "level Debug, sample 0.1"])
    }).pipe(Effect.provide(over({ a: {} }, { events })))
  })

  it.effect("is not changed where the router has no control of it", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      for (const told of [yield* call("GET /admin/log"), yield* call("POST /admin/log", { level: "Debug" })]) {
        assert.deepStrictEqual([told.status, told.json.error], [
          409,
          "the log of this router cannot be changed while it runs",
        ])
      }
    }).pipe(Effect.provide(over({ a: {} }, { events }))))
})

describe("the record of changes", () => {
  it.effect("names who did what, with the name of the token, and is listed newest first", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("1 second")
      yield* call("POST /admin/backends/a/drain")
      yield* TestClock.adjust("1 second")
      yield* call("POST /admin/backends/c/isolate")
      const { json } = yield* call("GET /admin/changes")
      assert.deepStrictEqual(json.changes, [{
        at: "1970-01-01T00:00:02.000Z",
        who: "admin",
        address: null,
        action: "isolate",
        backend: "c",
        model: null,
        result: "refused",
        reason: `no backend is called "c"`,
      }, {
        at: "1970-01-01T00:00:01.000Z",
        who: "admin",
        address: null,
        action: "drain",
        backend: "a",
        model: null,
        result: "done",
        reason: "a is draining and takes no new requests; 0 requests are under way",
      }])
      assert.strictEqual((yield* call("GET /admin/changes?limit=1")).json.changes.length, 1)
    }).pipe(Effect.provide(over({ a: {} }, { events }))))
})
