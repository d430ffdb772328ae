import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Effect, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as ProbedFleet from "../../../src/layers/gpu/ProbedFleet.ts"
import { type BackendInput, Fleet } from "../../../src/services/Fleet.ts"
import { Failed, GpuProbe, type GpuReading, Unhealthy, unknown } from "../../../src/services/GpuProbe.ts"
import * as FleetContract from "../../../src/testing/contracts/Fleet.ts"
import * as MockGpuProbe from "../../../src/testing/mocks/MockGpuProbe.ts"
import { holds } from "../../support/checks.ts"

const gibibyte = ByteSize.gibibytes(1)
const card = (name: string): GpuReading => MockGpuProbe.device(`GPU-${name}`, ByteSize.gibibytes(24))
const system: GpuReading = { ...MockGpuProbe.device("system", gibibyte), kind: "system" }
const broken = new Failed({ code: Option.none(), description: "it is broken" })

/** A mock probe with its handle. */
const mock = (step: MockGpuProbe.Step) =>
  Effect.map(Layer.build(MockGpuProbe.layer(step)), (built) => ({
    probe: Layer.succeed(GpuProbe, Context.get(built, GpuProbe)),
    handle: Context.get(built, MockGpuProbe.MockReadings),
  }))

const join = (
  backends: ReadonlyArray<BackendInput>,
  hosts: Readonly<Record<string, Layer.Layer<GpuProbe>>>,
) =>
  Effect.map(Layer.build(ProbedFleet.layer({ fleet: StaticFleet.layer(backends), hosts })), (built) => ({
    fleet: Context.get(built, Fleet),
    probe: Context.get(built, GpuProbe),
  }))

const devices = ({ members }: Fleet["Service"]) =>
  Object.fromEntries(members().map(({ backend }) => [backend.id, backend.devices.join()]))

holds(
  "ProbedFleet is a Fleet",
  FleetContract.contract(ProbedFleet.layer({
    fleet: StaticFleet.layer([{ url: "http://a:1/", id: "a" }, { url: "http://b:1", id: "b" }]),
    hosts: { a: MockGpuProbe.layer([card("1")]) },
  })),
)

describe("ProbedFleet", () => {
  it.effect("gives each backend the devices of its host, unless the backend names its own", () =>
    Effect.gen(function* () {
      const { fleet, probe } = yield* join([
        { id: "local", url: "http://127.0.0.1:11434" },
        { id: "other port", url: "http://localhost:11435" },
        { id: "far", url: "http://far:11434" },
        { id: "cpu", url: "http://far:11435", labels: { device: "cpu" } },
        { id: "says", url: "http://far:11436", devices: ["GPU-4"] },
        { id: "memory", url: "http://far:11437", labels: { memory: "24 GiB" } },
        { id: "unread", url: "http://elsewhere:11434" },
      ], { localhost: MockGpuProbe.layer([system]), far: MockGpuProbe.layer([card("4"), card("3"), system]) })
      assert.deepStrictEqual(devices(fleet), {
        local: "system@localhost",
        "other port": "system@localhost",
        far: "GPU-3,GPU-4",
        cpu: "system@far",
        says: "GPU-4",
        memory: "",
        unread: "",
      })
      const read = yield* probe.read
      assert.deepStrictEqual(read.devices.map(({ uuid }) => uuid), [
        "system@localhost",
        "GPU-4",
        "GPU-3",
        "system@far",
      ])
      assert.deepStrictEqual(read.passedOver, [])
    }).pipe(Effect.scoped))

  it.effect("reads the other hosts where one fails, names that one, and includes it when it answers", () =>
    Effect.gen(function* () {
      const late = yield* mock(broken)
      const { fleet, probe } = yield* join([{ id: "a", url: "http://a" }, { id: "b", url: "http://b" }], {
        a: MockGpuProbe.layer([card("a")]),
        b: late.probe,
      })
      const changes = yield* fleet.changes.pipe(
        Stream.map(() => devices(fleet)["b"]),
        Stream.take(2),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true }),
      )
      yield* Effect.yieldNow
      const before = fleet.members()
      const { devices: found, passedOver } = yield* probe.read
      assert.deepStrictEqual(found.map(({ uuid }) => uuid), ["GPU-a"])
      assert.deepStrictEqual(passedOver.map(({ reason, source }) => [source, reason]), [["b", "Failed"]])
      assert.strictEqual(fleet.members(), before)

      yield* late.handle.set([card("b")])
      yield* probe.read
      assert.strictEqual(devices(fleet)["b"], "GPU-b")
      assert.strictEqual(fleet.members()[0], before[0])
      assert.deepStrictEqual(yield* Fiber.join(changes), ["", "GPU-b"])
    }).pipe(Effect.scoped))

  it.effect("fails where no host answers", () =>
    Effect.gen(function* () {
      const { probe } = yield* join(["http://a"], { a: MockGpuProbe.layer(broken) })
      const error = yield* Effect.flip(probe.read)
      assert.strictEqual(error.reason._tag, "NoneWorked")
      assert.include(error.message, "it is broken")
    }).pipe(Effect.scoped))

  it.effect("keeps the GPUs of a host whose probe fell back to the system's memory", () =>
    Effect.gen(function* () {
      const { handle, probe: mocked } = yield* mock([card("a")])
      const { fleet, probe } = yield* join([{ id: "a", url: "http://a" }], { a: mocked })
      const before = fleet.members()
      yield* handle.set([system])
      yield* probe.read
      assert.deepStrictEqual(devices(fleet), { a: "GPU-a" })
      yield* handle.set([card("b"), card("a")])
      yield* probe.read
      assert.deepStrictEqual(devices(fleet), { a: "GPU-a,GPU-b" })
      assert.notStrictEqual(fleet.members(), before)
    }).pipe(Effect.scoped))

  it.effect("keeps a GPU that is lost as a device, and drops and takes back one that is gone", () =>
    Effect.gen(function* () {
      const lost = (uuid: string): GpuReading => ({
        ...unknown(uuid, "lost", "gpu"),
        health: Option.some(new Unhealthy({ reason: "GPU is lost" })),
      })
      const { handle, probe: mocked } = yield* mock([card("a"), lost("nvml-1")])
      const { fleet, probe } = yield* join([{ id: "a", url: "http://a" }], { a: mocked })
      const steps: ReadonlyArray<readonly [shown: ReadonlyArray<GpuReading>, devices: string]> = [
        [[card("a"), lost("nvml-1")], "GPU-a"],
        [[card("a"), card("b")], "GPU-a,GPU-b"],
        [[lost("GPU-a"), card("b")], "GPU-a,GPU-b"],
        [[lost("GPU-a"), lost("GPU-b")], "GPU-a,GPU-b"],
        [[card("b")], "GPU-b"],
        [[card("b"), card("a")], "GPU-a,GPU-b"],
      ]
      for (const [shown, expected] of steps) {
        yield* handle.set(shown)
        const found = yield* probe.read
        assert.strictEqual(devices(fleet)["a"], expected)
        assert.lengthOf(found.devices, shown.length)
      }
    }).pipe(Effect.scoped))

  it.effect("waits for each host at most for its limit", () =>
    Effect.gen(function* () {
      const slow = yield* mock([card("slow")])
      const { probe } = yield* join(["http://a", "http://slow"], {
        a: MockGpuProbe.layer([card("a")]),
        slow: slow.probe,
      })
      yield* slow.handle.set("hangs")
      const fiber = yield* Effect.forkChild(probe.read)
      yield* TestClock.adjust("1499 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { devices: found, passedOver } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(found.map(({ uuid }) => uuid), ["GPU-a"])
      assert.deepStrictEqual(passedOver.map(({ reason, source }) => [source, reason]), [["slow", "Timeout"]])
    }).pipe(Effect.scoped))
})
