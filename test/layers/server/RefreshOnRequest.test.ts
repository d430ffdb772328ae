import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as OllamaApp from "../../../src/layers/OllamaApp.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as AtStartPlan from "../../../src/plugins/plans/AtStartPlan.ts"
import { BackendHealth } from "../../../src/services/BackendHealth.ts"
import { NeedsResidentHost } from "../../../src/services/Host.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { ViewRefresh } from "../../../src/services/ViewRefresh.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import * as MockGpuProbe from "../../../src/testing/mocks/MockGpuProbe.ts"
import * as MockModelFootprints from "../../../src/testing/mocks/MockModelFootprints.ts"
import * as FakeOllamaApi from "../../support/fakeOllamaApi.ts"

const ids = ["a", "b"]
const fleet = StaticFleet.layer(ids.map((id) => ({ id, url: `http://${id}:11434` })))

const over = (serverless: ReturnType<typeof Standard.serverless>) =>
  serverless.pipe(
    Layer.provideMerge(Layer.mergeAll(fleet, FakeOllamaApi.layer, SimulatedTransport.layer)),
    Layer.provide(SimulatedFleet.layer({})),
  )

const setUp = Effect.gen(function* () {
  const { server } = yield* FakeOllamaApi.FakeServers
  for (const id of ids) server(id).models.push(FakeOllamaApi.tagsRow("m:1b"))
  const { stale } = yield* ViewRefresh
  return { server, stale, calls: () => ids.reduce((sum, id) => sum + server(id).calls.length, 0) }
})

describe("a router on a host that is frozen between requests", () => {
  it.effect("asks no backend while no requests come", () =>
    Effect.gen(function* () {
      const { calls } = yield* setUp
      yield* elapse("1 hour", "30 seconds")
      assert.strictEqual(calls(), 0)
    }).pipe(Effect.provide(over(Standard.serverless()))))

  it.effect("refreshes once for all first requests, which wait for it", () =>
    Effect.gen(function* () {
      const { calls, server, stale } = yield* setUp
      for (const id of ids) server(id).delay = 100
      const waits = [stale(), stale(), stale()]
      assert.isTrue(waits.every((wait) => wait !== undefined))
      const fibers = yield* Effect.forEach(waits, (wait) => Effect.forkChild(wait!))
      yield* elapse("50 millis", "10 millis")
      assert.isUndefined(fibers[0]!.pollUnsafe())
      yield* elapse("1 second", "50 millis")
      yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual((yield* BackendHealth).status("a").state, "healthy")
      assert.strictEqual((yield* ModelCatalog).peek("m:1b")?.owners.size, 2)
      const versions = ids.flatMap((id) => server(id).calls).filter((call) => call.startsWith("version"))
      assert.lengthOf(versions, 2)
      const before = calls()
      assert.isUndefined(stale())
      yield* elapse("1 second")
      assert.strictEqual(calls(), before)
    }).pipe(Effect.provide(over(Standard.serverless()))))

  it.effect("uses a slightly old view while it refreshes, and waits for the refresh of a very old one", () =>
    Effect.gen(function* () {
      const { calls, server, stale } = yield* setUp
      const first = yield* Effect.forkChild(stale()!)
      yield* elapse("1 second")
      yield* Fiber.join(first)
      const before = calls()
      yield* elapse("10 seconds")
      assert.isUndefined(stale(), "served at once")
      yield* elapse("1 second")
      assert.isAbove(calls(), before, "and read again")

      yield* elapse("2 minutes")
      for (const id of ids) server(id).up = false
      const wait = stale()
      assert.isDefined(wait)
      const fiber = yield* Effect.forkChild(wait!)
      yield* elapse("2 seconds")
      yield* Fiber.join(fiber)
      // No backend answers: the old view stays.
      assert.strictEqual((yield* ModelCatalog).peek("m:1b")?.owners.size, 2)
    }).pipe(Effect.provide(over(Standard.serverless({}, { timeToLive: "5 seconds", staleMax: "1 minute" })))))

  it.effect("logs once that no backend answers, and once that one answers again", () => {
    const said: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
    const about = () => said.splice(0).filter((message) => message.includes("answer"))
    return Effect.gen(function* () {
      const { server, stale } = yield* setUp
      const later = Effect.gen(function* () {
        stale()
        yield* elapse("10 seconds", "1 second")
        return about()
      })
      assert.deepStrictEqual(yield* later, [])
      for (const id of ids) server(id).up = false
      const down = [...(yield* later), ...(yield* later), ...(yield* later)]
      assert.deepStrictEqual(down, ["no backend answers; requests go by what was known of the fleet before"])
      server("b").up = true
      assert.deepStrictEqual([...(yield* later), ...(yield* later)], ["backends answer again"])
    }).pipe(Effect.provide(over(Standard.serverless()).pipe(Layer.provideMerge(logger))))
  })

  it.effect("makes no request wait longer than the timeout when backends hang", () =>
    Effect.gen(function* () {
      const { server, stale } = yield* setUp
      for (const id of ids) server(id).delay = 3_600_000
      const fiber = yield* Effect.forkChild(stale()!)
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(over(Standard.serverless({}, { timeout: "2 seconds" })))))

  it.live("answers its first request", () =>
    Effect.scoped(Effect.gen(function* () {
      const url = "http://gpu:11434"
      const services = Standard.serverless().pipe(
        Layer.provideMerge(
          Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer, StaticFleet.layer([url])),
        ),
        Layer.provide(SimulatedFleet.layer({ [url]: { gpus: ["24 GiB"], decodeRate: 1e6, loadTime: 0 } })),
      )
      const web = yield* Effect.acquireRelease(
        Effect.sync(() => WebServer.toFetch(OllamaApp.layer(), services)),
        (web) => Effect.promise(() => web.dispose()),
      )
      const body = JSON.stringify({ model: "tiny-eos", prompt: "hi", stream: false })
      const answer = yield* Effect.promise(() =>
        web.fetch(new Request("http://llamero/api/generate", { method: "POST", body }))
      )
      const text = yield* Effect.promise(() => answer.text())
      assert.strictEqual(answer.status, 200, text)
    })))
})

describe("a layer that keeps its state in memory", () => {
  const probe = Layer.mergeAll(MockGpuProbe.layer([]), MockModelFootprints.layer({}))
  const ledger = MemoryVramLedger.layer().pipe(Layer.provide(probe))
  const refused: ReadonlyArray<readonly [string, ReturnType<typeof Standard.serverless>]> = [
    ["BoundedAdmission", Standard.serverless({ admission: BoundedAdmission.layer() })],
    ["MemoryVramLedger", Standard.serverless({ ledger })],
    ["PlannedPrewarmer", Standard.serverless({ plans: [AtStartPlan.make(["m:1b"])] })],
  ]
  for (const [name, stack] of refused) {
    it.effect(`${name} refuses to be built there, and names what to use instead`, () =>
      Effect.scoped(Effect.gen(function* () {
        const exit = yield* Effect.exit(Layer.build(over(stack)))
        assert.isTrue(Exit.isFailure(exit))
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(defect, NeedsResidentHost)
        assert.match((defect as NeedsResidentHost).message, new RegExp(`^${name} keeps state in memory .*; use \\w+`))
      })))
  }

  it.effect("is built where the process lives on between requests", () =>
    Effect.scoped(Effect.gen(function* () {
      const built = yield* Layer.build(
        Standard.layer({ ledger, admission: BoundedAdmission.layer() }).pipe(
          Layer.provideMerge(Layer.mergeAll(fleet, FakeOllamaApi.layer, SimulatedTransport.layer)),
          Layer.provide(SimulatedFleet.layer({})),
        ),
      )
      assert.isUndefined(Context.get(built, ViewRefresh).stale())
    })))
})
