/** The parts that take new options while they run: what they do with their state, and with what is under way. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import * as Observers from "../../../src/layers/events/Observers.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as PlannedPrewarmer from "../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as WatchedRelay from "../../../src/layers/relay/WatchedRelay.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as MemoryRateLimiterStore from "../../../src/layers/sharing/MemoryRateLimiterStore.ts"
import * as CharactersTokenEstimator from "../../../src/layers/tokens/CharactersTokenEstimator.ts"
import * as AliasGuard from "../../../src/plugins/guards/AliasGuard.ts"
import * as RateLimitGuard from "../../../src/plugins/guards/RateLimitGuard.ts"
import * as DecisionHistory from "../../../src/plugins/observers/DecisionHistory.ts"
import * as AtStartPlan from "../../../src/plugins/plans/AtStartPlan.ts"
import * as PinnedPlan from "../../../src/plugins/plans/PinnedPlan.ts"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import { Admission } from "../../../src/services/Admission.ts"
import * as Live from "../../../src/services/Live.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import type { Guard } from "../../../src/services/Plugin.ts"
import { Prewarmer } from "../../../src/services/Prewarmer.ts"
import { success } from "../../../src/services/Outcome.ts"
import { Relay } from "../../../src/services/Relay.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { type RouterEvent, RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { enter } from "../../../src/testing/contracts/Admission.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import * as MockLeases from "../../../src/testing/mocks/MockLeases.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { overManaged } from "../../support/managed.ts"
import { ask, over, request, url } from "../../support/routers.ts"
import { partly } from "../../support/web.ts"
import { bytes, type PlayedCall, playedTransport, RecordingReply } from "../../support/sinks.ts"

describe("queues", () => {
  const over = (slots: number, options: Live.Input<BoundedAdmission.Options>) =>
    Layer.provideMerge(BoundedAdmission.layer(options), MockLeases.layer(slots))
  const park = (id: string, options?: Parameters<typeof enter>[2]) =>
    Effect.forkChild(enter(id, Effect.void, options), { startImmediately: true })
  const refused = (id: string) => Effect.map(Effect.flip(enter(id)), ({ reason }) => reason)
  const depth = Effect.map(Admission, (admission) => admission.queues()[0]?.depth ?? 0)

  it.effect("a lower capacity refuses none that wait, and no new one until there is room", () => {
    const options = Live.make<BoundedAdmission.Options>({ queueCapacity: 4 })
    return Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (id) => park(id))
      options.set({ queueCapacity: 2 })
      assert.strictEqual(yield* refused("e"), "QueueFull")
      assert.strictEqual(yield* depth, 4)
      options.set({ queueCapacity: 0 })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* depth, 4)
      slots.setFree(4)
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.deepStrictEqual(slots.granted, ["a", "b", "c", "d"])
      slots.setFree(0)
      assert.strictEqual(yield* refused("f"), "QueueFull")
      options.set({ queueCapacity: 1 })
      yield* park("g")
      assert.strictEqual(yield* depth, 1)
      assert.strictEqual(yield* refused("h"), "QueueFull")
    }).pipe(Effect.provide(over(0, options)))
  })

  it.effect("fewer bytes and a shorter wait count for new requests; one that waits keeps its deadline", () => {
    const options = Live.make<BoundedAdmission.Options>({ queueBytes: 100, queueMillis: 30_000 })
    return Effect.gen(function* () {
      const first = yield* park("a", { bytes: 90 })
      options.set({ queueBytes: 50, queueMillis: 5000 })
      assert.strictEqual(yield* refused("b"), "QueueFull")
      options.set({ queueBytes: 1000, queueMillis: 5000 })
      const second = yield* park("c", { bytes: 90 })
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(second))).reason, "DeadlineExceeded")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("25 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(first))).reason, "DeadlineExceeded")
    }).pipe(Effect.provide(over(0, options)))
  })

  it.effect("the turns of tenants follow new weights, for those that wait and for those that come", () => {
    const options = Live.make<BoundedAdmission.Options>({ tenantWeights: { x: 1, y: 1 }, ageMillis: 1e9 })
    const hold = (id: string, tenant: string) =>
      Effect.forkChild(enter(id, Effect.never, { tenant }), { startImmediately: true })
    const tenants = (ids: ReadonlyArray<string>) => ids.map((id) => id[0]).join("")
    return Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const wait = (round: number) =>
        Effect.forEach(Array.from({ length: 8 }), (_, i) =>
          Effect.andThen(
            hold(`x${round}${i}`, "x"),
            hold(`y${round}${i}`, "y"),
          ))
      yield* wait(1)
      options.set({ ...options.now, tenantWeights: { x: 3, y: 1 } })
      yield* TestClock.adjust("200 millis")
      for (let i = 0; i < 8; i++) slots.setFree(1)
      const first = tenants(slots.granted)
      assert.strictEqual(first.replaceAll("y", "").length, 6, first)
      // Idle now: the next ones have the new weights from the start.
      slots.setFree(100)
      assert.lengthOf(slots.granted, 16)
      slots.setFree(0)
      options.set({ ...options.now, tenantWeights: { y: 3 } })
      yield* wait(2)
      for (let i = 0; i < 8; i++) slots.setFree(1)
      const second = tenants(slots.granted.slice(16))
      assert.strictEqual(second.replaceAll("x", "").length, 6, second)
      slots.setFree(100)
      assert.strictEqual(slots.granted.length, 32)
      assert.strictEqual(yield* depth, 0)
    }).pipe(Effect.provide(over(0, options)))
  })
})

describe("guards and observers", () => {
  const models = ["first:latest", "second:latest"]
  const catalog = partly(ModelCatalog, {
    peek: (name) => models.includes(name) ? modelOn(name, "a") : undefined,
  })
  const rewrites = ({ check }: Guard, model: string) => {
    const verdict = check(request("/api/generate", { model, prompt: "x" }))
    assert(!Effect.isEffect(verdict) && verdict._tag === "Pass")
    return verdict.rewrite?.model ?? model
  }

  it.effect("aliases", () => {
    const aliases = Live.make<AliasGuard.Aliases>({ any: "first:latest" })
    return Effect.gen(function* () {
      const guard = yield* AliasGuard.make(aliases)
      assert.strictEqual(rewrites(guard, "any"), "first:latest")
      aliases.set({ any: ["nowhere", "second:latest"], other: "first:latest" })
      assert.deepStrictEqual(["any", "other"].map((name) => rewrites(guard, name)), ["second:latest", "first:latest"])
      aliases.set({})
      assert.strictEqual(rewrites(guard, "any"), "any")
    }).pipe(Effect.provide([catalog, MockLeases.layer(1)]))
  })

  it.effect("limits: what was used stays used, under a higher and under a lower limit", () => {
    const options = Live.make<RateLimitGuard.Options>({ requestsPerMinute: 4 })
    const services = Layer.merge(
      RateLimiter.layer.pipe(Layer.provide(MemoryRateLimiterStore.layer)),
      CharactersTokenEstimator.layer(),
    )
    return Effect.gen(function* () {
      const guard = yield* RateLimitGuard.make(options)
      const running: Array<() => void> = []
      const passes = Effect.gen(function* () {
        const verdict = guard.check({ ...request("/api/generate", { model: "m", prompt: "x" }), tenant: "t" })
        const passed = Effect.isEffect(verdict) ? yield* verdict : verdict
        if (passed._tag === "Pass") running.push(() => passed.settled?.(success))
        return passed._tag === "Pass"
      })
      const admitted = Effect.map(
        Effect.forEach(Array.from({ length: 10 }), () => passes),
        (all) => all.filter((passed) => passed).length,
      )
      assert.strictEqual(yield* admitted, 4)
      options.set({ requestsPerMinute: 60 })
      assert.strictEqual(yield* admitted, 0)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* admitted, 3)
      yield* TestClock.adjust("2 minutes")
      options.set({ requestsPerMinute: 2 })
      assert.strictEqual(yield* admitted, 2)
      // 9 requests run. None of them is cut by a limit below that.
      options.set({ concurrent: 11 })
      assert.strictEqual(yield* admitted, 2)
      options.set({ concurrent: 3 })
      assert.strictEqual(yield* admitted, 0)
      for (const end of running.splice(0, 9)) end()
      assert.strictEqual(yield* admitted, 1)
      options.set({})
      assert.strictEqual(yield* admitted, 10)
    }).pipe(Effect.provide(services))
  })

  it.effect("requests pass a guard unasked while it is off, and its failure to answer with it", () => {
    let off = true
    let asked = 0
    const guard: Guard = {
      kind: "guard",
      name: "switched",
      isOff: () => off,
      check: () => {
        asked++
        throw new Error("asked")
      },
    }
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const status = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(ask("/api/generate", { model: "tiny-eos", prompt: "x" }))
        yield* TestClock.adjust("10 seconds")
        return (yield* Fiber.join(fiber)).settled.status
      })
      assert.deepStrictEqual([yield* status, asked], [200, 0])
      off = false
      assert.deepStrictEqual([yield* status, asked], [500, 1])
      off = true
      assert.deepStrictEqual([yield* status, asked], [200, 1])
    }).pipe(Effect.provide(over({ a: {} }, { router: PipelineRouter.layer({ guards: [guard] }) })))
  })

  it.effect("an observer gets no events while it is off", () => {
    let off = true
    const seen: Array<RouterEvent["_tag"]> = []
    const observer = {
      kind: "observer",
      name: "switched",
      isOff: () => off,
      observe: (event: RouterEvent) => void seen.push(event._tag),
    } as const
    return Effect.gen(function* () {
      const { publish } = yield* RouterEvents
      const failed: RouterEvent = { _tag: "AttemptFailed", at: 0, id: "r", backend: "a", cause: "reset" }
      for (const now of [true, false, true]) {
        off = now
        publish(failed)
        yield* TestClock.adjust("1 millis")
      }
      assert.deepStrictEqual(seen, ["AttemptFailed"])
    }).pipe(Effect.provide(Layer.provideMerge(Observers.layer([observer]), SynchronousRouterEvents.layer)))
  })

  it("remembered requests: the last ones stay when the number falls or rises; none are added while it is 0", () => {
    const size = Live.make(3)
    const { find, observer, recent } = DecisionHistory.make({ size })
    const settle = (id: string) =>
      observer.observe({
        ...{
          _tag: "RequestSettled",
          at: 0,
          id,
          route: "/api/chat",
          kind: "chat",
          model: "m",
          known: true,
          tenant: "t",
        },
        settled: {
          ...{ result: "answered", status: 200, refusal: undefined, outcome: undefined, backend: "b" },
          ...{ attempts: 1, queuedMillis: 0 },
        },
        ...{ totalMillis: 1, bytesIn: 1, bytesOut: 1 },
      })
    const ids = () => recent(100).map(({ settled }) => settled.id).join("")
    for (const id of "abcd") settle(id)
    assert.strictEqual(ids(), "dcb")
    size.set(2)
    assert.strictEqual(ids(), "dc")
    size.set(4)
    for (const id of "efg") settle(id)
    assert.strictEqual(ids(), "gfed")
    assert.isFalse(observer.isOff?.())
    size.set(0)
    assert.isTrue(observer.isOff?.())
    assert.deepStrictEqual([ids(), find("g")], ["", undefined])
  })
})

describe("retries", () => {
  it("attempts count at once; the budget that was earned stays, and what is added follows the new figures", () => {
    const options = Live.make<FailoverRetry.Options>({ ratio: 0, perSecond: 5, attemptsMax: 2 })
    const policy = FailoverRetry.make(options)
    const decide = (attempts: number, now: number) =>
      policy.decide({
        demand: demandFor(modelOn("m:latest", "a")),
        backend: "a",
        outcome: { kind: "failure", cause: "refused" },
        attempts,
      }, now)
    assert.deepStrictEqual([decide(1, 0), decide(2, 0), policy.budget?.(0)], ["elsewhere", "give-up", 4])
    options.set({ ratio: 1, perSecond: 50, attemptsMax: 4 })
    assert.deepStrictEqual([decide(3, 0), decide(4, 0), policy.budget?.(0)], ["elsewhere", "give-up", 3])
    policy.seen(0)
    assert.strictEqual(policy.budget?.(0), 4)
    assert.strictEqual(policy.budget?.(1000), 54)
    options.set({ ratio: 0, perSecond: 0, attemptsMax: 1 })
    policy.seen(2000)
    assert.deepStrictEqual([policy.budget?.(2000), decide(1, 2000)], [54, "give-up"])
  })
})

describe("the relay", () => {
  it.effect("a new limit counts for an attempt that is under way", () => {
    const limits = Live.make<WatchedRelay.Options>({ firstByteMillis: 60_000 })
    const calls: Array<PlayedCall> = []
    return Effect.gen(function* () {
      const context = yield* Layer.build(WatchedRelay.layer(limits).pipe(Layer.provide(playedTransport(calls))))
      const relay = Context.get(context, Relay)
      const lease = {
        backend: backend({ url: "http://a:1", id: "a" }),
        demand: demandFor(modelOn("m:latest", "a")),
        release: () => {},
      }
      const call = { method: "POST", path: "/api/chat", headers: [], body: bytes("{}") }
      const fiber = yield* Effect.forkChild(
        relay.run(lease, call, { streams: true, streamEnd: "done-true", reads: false }, new RecordingReply()),
        { startImmediately: true },
      )
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      limits.set({ firstByteMillis: 5000 })
      yield* TestClock.adjust("1 second")
      const attempt = yield* Fiber.join(fiber)
      assert.deepStrictEqual([attempt._tag, attempt.outcome.cause], ["Retry", "first-byte-timeout"])
    })
  })
})

describe("prewarm plans", () => {
  const server: SimulatedFleet.ServerOptions = {
    ...SimulatedFleet.a100,
    gpus: ["40 GiB"],
    models: ["x", "y", "z"].map((name) =>
      SimulatedFleet.Model.model({
        ...{ name, size: 10 * 1024 ** 3, blocks: 32, overhead: 0, tokenizer: "chars4", contextTrained: 4096 },
      })
    ),
  }
  const resident = Effect.map(
    SimulatedFleet.SimulatedFleet,
    ({ get }) => get(url("a")).resident.map(({ name }) => name).toSorted().join(),
  )
  const isPinned = (name: string) =>
    Effect.gen(function* () {
      const model = (yield* ModelCatalog).peek(name)
      return (yield* Residency).pinned("a", model!)
    })

  it.effect("a model that is added is pinned, and readiness does not wait for it; one that is removed is let go", () => {
    const pinned = Live.make<ReadonlyArray<string>>(["x"])
    return Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      yield* elapse("60 seconds")
      assert.deepStrictEqual([yield* resident, prewarmer.ready()], ["x:latest", true])
      pinned.set(["x", "y", "X:latest"])
      yield* elapse("1 second")
      assert.isTrue(prewarmer.ready(), "a load must not take the traffic away")
      yield* elapse("60 seconds")
      assert.deepStrictEqual([yield* resident, yield* isPinned("x"), yield* isPinned("y")], [
        "x:latest,y:latest",
        true,
        true,
      ])
      pinned.set(["y"])
      yield* elapse("2 seconds")
      assert.deepStrictEqual([yield* isPinned("x"), yield* isPinned("y")], [false, true])
      assert.include(yield* resident, "x:latest")
      // It was away: readiness does not wait for it again.
      pinned.set(["x", "z"])
      yield* elapse("1 second")
      assert.isTrue(prewarmer.ready())
    }).pipe(Effect.provide(overManaged({ a: server }, {
      prewarmer: PlannedPrewarmer.layer({ plans: [PinnedPlan.make(pinned)] }),
    })))
  })

  it.effect("what is to be loaded once is loaded when it is added, and readiness waits for the first ones only", () => {
    const models = Live.make<ReadonlyArray<string>>(["x"])
    return Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      yield* elapse("1 second")
      assert.isFalse(prewarmer.ready())
      yield* elapse("60 seconds")
      assert.isTrue(prewarmer.ready())
      models.set(["x", "z"])
      yield* elapse("1 second")
      assert.isTrue(prewarmer.ready())
      yield* elapse("60 seconds")
      assert.strictEqual(yield* resident, "x:latest,z:latest")
    }).pipe(Effect.provide(overManaged({ a: server }, {
      prewarmer: PlannedPrewarmer.layer({ plans: [AtStartPlan.make(models)] }),
    })))
  })
})
