import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, Layer, Option, Schedule, type Scope } from "effect"
import { afterAll } from "vitest"
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import process from "node:process"
import * as NvmlGpuProbe from "../../../src/layers/gpu/NvmlGpuProbe.ts"
import { GpuProbe, type GpuReading } from "../../../src/services/GpuProbe.ts"
import { contract, plausible } from "../../../src/testing/contracts/GpuProbe.ts"
import { holds } from "../../support/checks.ts"
import * as FakeNvml from "../../support/fakeNvml.ts"
import * as Processes from "../../support/processes.ts"

const gib = ByteSize.gibibytes
const { cards } = FakeNvml
const fake = FakeNvml.build()

interface Scripted {
  readonly library?: string | undefined
  readonly options?: NvmlGpuProbe.Options | undefined
}

// The machine's own setting must not select among the devices of the test.
delete process.env["CUDA_VISIBLE_DEVICES"]

/** A probe with a fake library in a state of its own. */
const scripted = (from: FakeNvml.Fake, state: FakeNvml.State, { library, options }: Scripted = {}) => {
  const { path, set } = FakeNvml.script(from, state)
  const layer = NvmlGpuProbe.layer({
    libraries: [library ?? from.library],
    env: { FAKE_NVML_STATE: path },
    // Long, so that a busy machine does not look like a hung driver. The tests of hung drivers use 1 second.
    deadline: "5 seconds",
    backoff: "50 millis",
    ...options,
  }).pipe(Layer.provide(NodeServices.layer))
  return { layer, set }
}

type Case = (from: FakeNvml.Fake) => Effect.Effect<void, unknown, Scope.Scope>

const alive = (pid: number): boolean => {
  // A zombie process has ended too, even if its parent has not noticed yet.
  const stat = Option.liftThrowable(() => readFileSync(`/proc/${pid}/stat`, "utf8"))()
  return Option.isSome(stat) && !/\) Z /.test(stat.value)
}

const gone = (pid: number) =>
  Effect.suspend(() => alive(pid) ? Effect.fail(`${pid} is still there`) : Effect.void).pipe(
    Effect.retry(Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(100)])),
  )

const helper = Effect.flatMap(NvmlGpuProbe.NvmlHelper, ({ pid }) => Effect.flatMap(pid, Effect.fromOption))

const read = Effect.flatMap(GpuProbe, (probe) => probe.read)

/** Repeats until it holds: recovery takes a pause and a new process. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(100)]))

const first = ({ devices }: { readonly devices: ReadonlyArray<GpuReading> }): GpuReading => {
  const [device] = devices
  assert.isDefined(device)
  return device!
}

const why = ({ health }: GpuReading): string | undefined =>
  Option.getOrUndefined(Option.map(health, (found) => found._tag === "Unhealthy" ? found.reason : "Healthy"))

if (fake === undefined) {
  console.log(`NvmlGpuProbe: skipped: ${FakeNvml.absent}`)
  it.skip(`NvmlGpuProbe: ${FakeNvml.absent}`, () => {})
} else {
  afterAll(() => FakeNvml.remove(fake))

  holds(
    "NvmlGpuProbe is a GpuProbe",
    contract({
      working: scripted(fake, cards(2)).layer,
      kind: "gpu",
      partial: scripted(fake, cards(3, { "rc.nvmlDeviceGetHandleByIndex_v2.1": 15 })).layer,
      failing: [scripted(fake, {}, { library: `${fake.folder}/none.so.1` }).layer, "LibraryMissing"],
      hanging:
        scripted(fake, cards(1, { "hang.nvmlDeviceGetCount_v2": -1 }), { options: { deadline: "1 second" } }).layer,
    }),
  )

  const impatient = { deadline: "1 second" } as const

  const test = (name: string, run: Case) => it.live(name, () => run(fake))

  describe("NvmlGpuProbe reads", () => {
    test("everything that the library reports of a card", (from) =>
      Effect.gen(function* () {
        const { devices, source } = yield* read
        assert.strictEqual(source, "nvml")
        const card = first({ devices })
        assert.deepInclude(card, {
          uuid: "GPU-0",
          name: "Fake-0",
          kind: "gpu",
          total: Option.some(gib(24)),
          free: Option.some(gib(20)),
          used: Option.some(ByteSize.mebibytes(3584)),
          utilisation: Option.some(0.37),
          temperature: Option.some(61),
          power: Option.some(123.456),
          processes: Option.none(),
          computeCapability: Option.some(8.6),
        })
        assert.strictEqual(why(card), "Healthy")
      }).pipe(Effect.provide(scripted(from, cards(1, { "0.capability": "8 6" })).layer)))

    const driver = Effect.flatMap(NvmlGpuProbe.NvmlHelper, (helper) => helper.driver)

    test("the versions of the driver and of CUDA, also where there is no GPU", (from) =>
      Effect.gen(function* () {
        for (const cuda of [["13000", "13.0"], ["12040", "12.4"], ["11080", "11.8"]] as const) {
          for (const count of [0, 1]) {
            const { layer } = scripted(from, cards(count, { driver: "580.95.05", cuda: cuda[0] }))
            const found = yield* Effect.provide(
              Effect.gen(function* () {
                assert.isTrue(Option.isNone(yield* driver))
                yield* read
                return yield* driver
              }),
              layer,
            )
            assert.deepStrictEqual(
              found,
              Option.some({ version: Option.some("580.95.05"), cuda: Option.some(cuda[1]) }),
            )
          }
        }
      }))

    test("no version of the driver where the library does not tell", (from) =>
      Effect.gen(function* () {
        yield* read
        assert.deepStrictEqual(yield* driver, Option.some({ version: Option.none(), cuda: Option.none() }))
      }).pipe(Effect.provide(scripted(from, cards(1)).layer)))

    test("the compute capability, also of MIG instances, and none where the library does not tell", (from) =>
      Effect.gen(function* () {
        const { devices } = yield* read
        assert.deepStrictEqual(devices.map(({ computeCapability }) => Option.getOrNull(computeCapability)), [
          9,
          12.1,
          null,
        ])
      }).pipe(Effect.provide(
        scripted(
          from,
          cards(3, { "0.mig": 1, "0/0.total": 1e9, "0/0.free": 1e9, "0.capability": "9 0", "1.capability": "12 1" }),
        ).layer,
      )))

    test("no card, and sixteen", (from) => {
      const { layer, set } = scripted(from, cards(0))
      return Effect.gen(function* () {
        assert.lengthOf((yield* read).devices, 0)
        set(cards(16))
        const readings = yield* read
        plausible(readings)
        assert.lengthOf(readings.devices, 16)
      }).pipe(Effect.provide(layer))
    })

    test("any number of processes, some with unknown memory", (from) => {
      const many = Array.from({ length: 40 }, (_, n) => `${n + 1}:${n === 3 ? "-" : n * 1000}`).join(",")
      return Effect.gen(function* () {
        const found = Option.getOrThrow(first(yield* read).processes)
        assert.lengthOf(found, 40)
        assert.deepStrictEqual(found[3], { pid: 4, used: Option.none() })
        assert.deepStrictEqual(found[39], { pid: 40, used: Option.some(ByteSize.bytes(39_000)) })
      }).pipe(Effect.provide(scripted(from, cards(1, { "0.processes": many }), { options: { processes: true } }).layer))
    })

    test("the MIG instances of a card instead of the card", (from) =>
      Effect.gen(function* () {
        const { devices } = yield* read
        assert.deepStrictEqual(devices.map(({ kind, uuid }) => `${kind} ${uuid}`), [
          "mig MIG-0-1",
          "mig MIG-0-4",
          "gpu GPU-1",
          "gpu GPU-2",
        ])
        assert.deepStrictEqual(devices[0]!.total, Option.some(gib(10)))
        assert.isTrue(Option.isNone(devices[0]!.utilisation))
        assert.isTrue(Option.isNone(devices[2]!.total), "nothing can be allocated on a card without instances")
        assert.isTrue(Option.isSome(devices[3]!.total))
      }).pipe(Effect.provide(
        scripted(
          from,
          cards(3, {
            "0.mig": 1,
            "0/1.total": Number(gib(10)),
            "0/1.free": Number(gib(9)),
            "0/4.total": Number(gib(5)),
            "0/4.free": Number(gib(5)),
            "1.mig": 1,
            "2.mig": 0,
          }),
        ).layer,
      )))

    test("the system's memory for a card without its own, and no more than is available", (from) => {
      const unsupported = { "rc.nvmlDeviceGetMemoryInfo_v2.0": 3, "rc.nvmlDeviceGetMemoryInfo.0": 3 }
      const state = cards(2, {
        ...unsupported,
        "0.name": "NVIDIA GB10",
        "1.name": "NVIDIA Thor",
        "1.total": Number(gib(64000)),
        "1.free": Number(gib(63000)),
      })
      return Effect.gen(function* () {
        const { devices } = yield* read
        const memory = readFileSync("/proc/meminfo", "utf8")
        const available = Number(/MemAvailable:\s+(\d+)/.exec(memory)![1]) * 1024
        for (const device of devices) {
          assert.strictEqual(device.kind, "integrated")
          const free = Number(Option.getOrThrow(device.free))
          assert.isAbove(free, 0)
          // The available memory may change between the two readings.
          assert.isBelow(free, available * 1.2)
        }
      }).pipe(Effect.provide(scripted(from, state).layer))
    })

    test("unknown instead of an impossible value", (from) =>
      Effect.gen(function* () {
        const [empty, more, huge] = (yield* read).devices
        assert.isTrue(Option.isNone(empty!.total))
        assert.isTrue(Option.isNone(more!.free))
        assert.isTrue(Option.isNone(huge!.total))
        assert.isTrue(Option.isNone(empty!.utilisation))
      }).pipe(Effect.provide(
        scripted(
          from,
          cards(3, {
            "0.total": 0,
            "0.free": 0,
            "0.util": 4_294_967_295,
            "1.free": Number(gib(25)),
            "2.total": "18446744073709551615",
          }),
        ).layer,
      )))

    test("free memory that the driver releases late", (from) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(first(yield* read).free, Option.some(gib(4)))
        yield* Effect.sleep("1500 millis")
        assert.deepStrictEqual(first(yield* read).free, Option.some(gib(20)))
      }).pipe(Effect.provide(scripted(from, cards(1, { "0.lag": `${gib(4)} 1500` })).layer)))

    test("the devices CUDA_VISIBLE_DEVICES names by UUID, in its order", (from) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* read).devices.map(({ uuid }) => uuid), ["GPU-2", "GPU-0"])
      }).pipe(Effect.provide(scripted(from, cards(3), { options: { visible: "GPU-2,GPU-0,GPU-9,GPU-1" } }).layer)))
  })

  describe("NvmlGpuProbe falls back", () => {
    test("to the first version of the memory call where the library has no second", (from) =>
      Effect.gen(function* () {
        const card = first(yield* read)
        assert.deepStrictEqual([card.total, card.free, card.used], [gib(24), gib(20), gib(4)].map(Option.some))
        assert.deepStrictEqual(card.temperature, Option.some(61))
      }).pipe(Effect.provide(scripted(from, cards(1), { library: from.old }).layer)))

    for (const code of [3, 13, 25, 999]) {
      test(`to it on ${code}`, (from) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(first(yield* read).free, Option.some(gib(20)))
        }).pipe(Effect.provide(scripted(from, cards(1, { "rc.nvmlDeviceGetMemoryInfo_v2": code })).layer)))
    }

    test("to the next file where the first is none", (from) =>
      Effect.gen(function* () {
        assert.lengthOf((yield* read).devices, 1)
      }).pipe(
        Effect.provide(scripted(from, cards(1), { options: { libraries: ["libnot-there.so.1", from.library] } }).layer),
      ))
  })

  describe("NvmlGpuProbe distinguishes", () => {
    const cases: ReadonlyArray<readonly [reason: string, state: FakeNvml.State, library?: "stunted" | "text"]> = [
      ["LibraryInvalid", {}, "text"],
      ["SymbolMissing", {}, "stunted"],
      ["PermissionDenied", { "rc.nvmlInitWithFlags": 4 }],
      ["PermissionDenied", cards(2, { "rc.nvmlDeviceGetHandleByIndex_v2": 17 })],
      ["DriverNotLoaded", { "rc.nvmlInitWithFlags": 9 }],
      ["DriverMismatch", { "rc.nvmlInitWithFlags": 18 }],
      ["DeviceLost", cards(0, { "rc.nvmlDeviceGetCount_v2": 15 })],
      ["Failed", cards(1, { "rc.nvmlDeviceGetCount_v2": 999 })],
    ]
    for (const [reason, state, kind] of cases) {
      test(`${reason} (${Object.entries(state).find(([key]) => key.startsWith("rc.")) ?? kind})`, (from) => {
        const library = kind === "stunted" ? from.stunted : kind === "text" ? import.meta.filename : from.library
        return Effect.gen(function* () {
          const error = yield* Effect.flip(read)
          assert.strictEqual(error.reason._tag, reason, error.message)
          if (error.reason._tag === "Failed") assert.deepStrictEqual(error.reason.code, Option.some(999))
        }).pipe(Effect.provide(scripted(from, state, { library }).layer))
      })
    }

    test("a card that it may not open from the others", (from) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* read).devices.map(({ uuid }) => uuid), ["GPU-1"])
      }).pipe(Effect.provide(scripted(from, cards(2, { "rc.nvmlDeviceGetHandleByIndex_v2.0": 4 })).layer)))
  })

  describe("NvmlGpuProbe and health", () => {
    test("a card that is lost, and comes back", (from) => {
      const { layer, set } = scripted(from, cards(2))
      return Effect.gen(function* () {
        assert.lengthOf((yield* read).devices, 2)
        const pid = yield* helper
        set(cards(2, { "rc.nvmlDeviceGetMemoryInfo_v2.1": 15, "rc.nvmlDeviceGetUUID.1": 15 }))
        const lost = yield* read
        assert.deepStrictEqual(lost.devices.map(why), ["Healthy", "GPU is lost (15)"])
        assert.strictEqual(lost.devices[1]!.uuid, "GPU-1")
        assert.isTrue(Option.isNone(lost.devices[1]!.free))
        assert.strictEqual((yield* read).devices[1]!.uuid, "GPU-1", "it keeps its name")
        set(cards(2))
        const back = yield* read
        assert.deepStrictEqual(back.devices.map(why), ["Healthy", "Healthy"])
        assert.deepStrictEqual(back.devices[1]!.free, Option.some(gib(20)))
        assert.strictEqual(yield* helper, pid, "one process all along")
      }).pipe(Effect.provide(layer))
    })

    /** Where a lost GPU 0 shows itself, before it was ever read and after. */
    const losses: ReadonlyArray<readonly [where: string, state: FakeNvml.State]> = [
      ["its handle", { "rc.nvmlDeviceGetHandleByIndex_v2.0": 15, "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["its UUID", { "rc.nvmlDeviceGetUUID.0": 15, "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["its memory", { "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["its memory, until a reset", { "rc.nvmlDeviceGetMemoryInfo_v2.0": 16 }],
      ["its MIG mode", { "rc.nvmlDeviceGetMigMode.0": 15, "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["the count", { "rc.nvmlDeviceGetCount_v2": 15, "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["the count and its handle", {
        "rc.nvmlDeviceGetCount_v2": 15,
        "rc.nvmlDeviceGetHandleByIndex_v2.0": 15,
        "rc.nvmlDeviceGetMemoryInfo_v2.0": 15,
      }],
      ["the events", { "rc.nvmlEventSetWait_v2": 15, "rc.nvmlDeviceGetMemoryInfo_v2.0": 15 }],
      ["every call", {
        "rc.nvmlDeviceGetUUID.0": 15,
        "rc.nvmlDeviceGetName.0": 15,
        "rc.nvmlDeviceGetMigMode.0": 15,
        "rc.nvmlDeviceGetMemoryInfo_v2.0": 15,
        "rc.nvmlDeviceGetUtilizationRates.0": 15,
      }],
    ]
    for (const [where, state] of losses) {
      test(`a card that is lost hides no other: ${where}`, (from) =>
        Effect.gen(function* () {
          for (const known of [true, false]) {
            const { layer, set } = scripted(from, cards(3, known ? {} : state))
            yield* Effect.gen(function* () {
              if (known) yield* read
              set(cards(3, state))
              for (let n = 0; n < 3; n++) {
                const found = yield* read
                plausible(found)
                const [lost, ...others] = found.devices
                assert.match(why(lost!) ?? "", /^GPU (is lost|needs a reset)/)
                assert.isTrue(Option.isNone(lost!.free))
                if (known) assert.strictEqual(lost!.uuid, "GPU-0")
                assert.deepStrictEqual(others.map(({ free, uuid }) => [uuid, free]), [
                  ["GPU-1", Option.some(gib(20))],
                  ["GPU-2", Option.some(gib(20))],
                ])
                for (const other of others) assert.include([undefined, "Healthy"], why(other))
              }
            }).pipe(Effect.provide(layer))
          }
        }))
    }

    test("a card that is lost after another one was lost from the start keeps its name", (from) => {
      const { layer, set } = scripted(from, cards(2, { "rc.nvmlDeviceGetHandleByIndex_v2.1": 15 }))
      return Effect.gen(function* () {
        yield* read
        yield* read
        set(cards(2, { "rc.nvmlDeviceGetHandleByIndex_v2": 15, "rc.nvmlDeviceGetMemoryInfo_v2": 15 }))
        for (let n = 0; n < 3; n++) {
          const { devices } = yield* read
          assert.deepStrictEqual(devices.map(({ uuid }) => uuid), ["GPU-0", "nvml-1"])
          assert.deepStrictEqual(devices.map(why), ["GPU is lost (15)", "GPU is lost (15)"])
        }
      }).pipe(Effect.provide(layer))
    })

    test("the first of two cards disappears: the other one, at a new index, is read at once", (from) => {
      const { layer, set } = scripted(from, cards(2))
      return Effect.gen(function* () {
        yield* read
        set(cards(1, { "0.uuid": "GPU-1" }))
        assert.deepStrictEqual((yield* read).devices.map(({ uuid }) => uuid), ["GPU-1"])
        set(cards(2))
        assert.deepStrictEqual((yield* read).devices.map(({ uuid }) => uuid), ["GPU-0", "GPU-1"])
      }).pipe(Effect.provide(layer))
    })

    test("the MIG instances of a lost card are unhealthy, each by its name, and come back", (from) => {
      const instances = { "0.mig": 1, "0/1.total": 1e9, "0/1.free": 1e9, "0/4.total": 1e9, "0/4.free": 1e9 }
      const { layer, set } = scripted(from, cards(2, instances))
      const names = ["mig MIG-0-1", "mig MIG-0-4", "gpu GPU-1"]
      return Effect.gen(function* () {
        yield* read
        for (
          const call of [
            "nvmlDeviceGetMigMode.0",
            "nvmlDeviceGetMaxMigDeviceCount.0",
            "nvmlDeviceGetMigDeviceHandleByIndex.0",
            "nvmlDeviceGetMemoryInfo_v2.0",
          ]
        ) {
          set(cards(2, { ...instances, [`rc.${call}`]: 15 }))
          const { devices } = yield* read
          assert.deepStrictEqual(devices.map(({ kind, uuid }) => `${kind} ${uuid}`), names, call)
          assert.deepStrictEqual(devices.map(why), ["GPU is lost (15)", "GPU is lost (15)", "Healthy"], call)
        }
        set(cards(2, { ...instances, "rc.nvmlDeviceGetMigDeviceHandleByIndex.0/4": 999 }))
        assert.deepStrictEqual((yield* read).devices.map(why), ["Healthy", "unknown error (999)", "Healthy"])
        set(cards(2, { ...instances, "rc.nvmlDeviceGetUUID.0": 999 }))
        assert.deepStrictEqual((yield* read).devices.map(({ kind, uuid }) => `${kind} ${uuid}`), names)
        set(cards(2, instances))
        assert.deepStrictEqual((yield* read).devices.map(why), ["Healthy", "Healthy", "Healthy"])
      }).pipe(Effect.provide(layer))
    })

    test("every card fails with 999, and comes back", (from) => {
      const { layer, set } = scripted(from, cards(1))
      return Effect.gen(function* () {
        yield* read
        set(cards(1, { "rc.nvmlDeviceGetCount_v2": 999, "rc.nvmlInitWithFlags": 999 }))
        assert.strictEqual((yield* Effect.flip(read)).reason._tag, "Failed")
        set(cards(1))
        assert.lengthOf((yield* eventually(read)).devices, 1)
      }).pipe(Effect.provide(layer))
    })

    test("an error of the device stays, an error of an application does not count", (from) => {
      const { layer, set } = scripted(from, cards(2))
      return Effect.gen(function* () {
        yield* read
        set(cards(2, { "event.0": "0 13 -1", "event.1": "0 43 -1", "event.2": "1 79 -1" }))
        assert.deepStrictEqual((yield* read).devices.map(why), ["Healthy", "Xid 79"])
        assert.deepStrictEqual((yield* read).devices.map(why), ["Healthy", "Xid 79"])
      }).pipe(Effect.provide(layer))
    })

    test("an error without a device counts for all devices", (from) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* read).devices.map(why), ["Xid 119", "Xid 119"])
      }).pipe(Effect.provide(scripted(from, cards(2, { "event.0": "-1 119 -1" })).layer)))

    test("an error of one MIG instance does not count for another", (from) => {
      const instances = { "0.mig": 1, "0/0.total": 1e9, "0/1.total": 1e9, "0/0.gi": 7, "0/1.gi": 9 }
      return Effect.gen(function* () {
        assert.deepStrictEqual((yield* read).devices.map(why), ["Healthy", "Xid 94"])
      }).pipe(Effect.provide(scripted(from, cards(1, { ...instances, "event.0": "0 94 9" })).layer))
    })

    test("is unknown where there are no events", (from) =>
      Effect.gen(function* () {
        assert.isUndefined(why(first(yield* read)))
      }).pipe(Effect.provide(scripted(from, cards(1, { "rc.nvmlDeviceRegisterEvents": 3 })).layer)))

    test("is bad while waiting for events fails", (from) =>
      Effect.gen(function* () {
        assert.include(why(first(yield* read)), "events")
      }).pipe(Effect.provide(scripted(from, cards(1, { "rc.nvmlEventSetWait_v2": 999 })).layer)))
  })

  describe("NvmlGpuProbe and a driver that hangs", () => {
    test("the event loop, file reads and timers go on; the helper is killed; the probe works again", (from) => {
      const { layer, set } = scripted(from, cards(1), { options: impatient })
      return Effect.gen(function* () {
        yield* read
        const pid = yield* helper
        set(cards(1, { "hang.nvmlDeviceGetMemoryInfo_v2": -1 }))
        let longest = 0
        let files = 0
        const busy = Effect.gen(function* () {
          for (;;) {
            const before = performance.now()
            yield* Effect.sleep("10 millis")
            longest = Math.max(longest, performance.now() - before)
            yield* Effect.promise(() => readFile(import.meta.filename!))
            files++
          }
        })
        const [took, error] = yield* Effect.timed(Effect.raceFirst(Effect.flip(read), busy))
        assert.strictEqual(error.reason._tag, "Timeout")
        assert.isBelow(Duration.toMillis(took), 2_000)
        assert.isBelow(longest, 500)
        assert.isAbove(files, 10)
        yield* gone(pid)
        set(cards(1))
        assert.lengthOf((yield* eventually(read)).devices, 1)
        assert.notStrictEqual(yield* helper, pid)
      }).pipe(Effect.provide(layer))
    })

    test("pauses longer each time, and starts no process in between", (from) => {
      const state = cards(1, { "rc.nvmlInitWithFlags": 9 })
      const { layer, set } = scripted(from, state, { options: { backoff: "400 millis" } })
      return Effect.gen(function* () {
        yield* Effect.flip(read)
        set(cards(1))
        const [took, error] = yield* Effect.timed(Effect.flip(read))
        assert.strictEqual(error.reason._tag, "DriverNotLoaded", "what it said before the pause")
        assert.isBelow(Duration.toMillis(took), 30)
        assert.isTrue(Option.isNone(yield* (yield* NvmlGpuProbe.NvmlHelper).pid))
        yield* eventually(read)
      }).pipe(Effect.provide(layer))
    })

    test("the next read waits for an initialisation that takes longer than one read", (from) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(read)).reason._tag, "Timeout")
        const pid = yield* helper
        assert.lengthOf((yield* eventually(read)).devices, 1)
        assert.strictEqual(yield* helper, pid, "it was let finish")
      }).pipe(
        Effect.provide(scripted(from, cards(1, { "hang.nvmlInitWithFlags": 3000 }), { options: impatient }).layer),
      ))

    test("an initialisation that never ends is killed too", (from) => {
      const state = cards(1, { "hang.nvmlInitWithFlags": -1 })
      return Effect.gen(function* () {
        yield* Effect.flip(read)
        const pid = yield* helper
        yield* gone(pid)
      }).pipe(Effect.provide(scripted(from, state, { options: { ...impatient, openDeadline: "2500 millis" } }).layer))
    })

    test("the helper ends with the probe, also in the middle of a call", (from) =>
      Effect.gen(function* () {
        const hung = scripted(from, cards(1, { "hang.nvmlDeviceGetCount_v2": -1 })).layer
        const well = scripted(from, cards(1)).layer
        for (const layer of [hung, well]) {
          const pid = yield* Effect.provide(
            Effect.andThen(Effect.exit(Effect.timeout(read, "500 millis")), helper),
            layer,
          )
          yield* gone(pid)
        }
      }))

    for (const runtime of ["node", "deno"] as const) {
      test(`${runtime} exits at once, and leaves no helper behind`, (from) =>
        Effect.gen(function* () {
          const { path } = FakeNvml.script(from, cards(1, { "hang.nvmlDeviceGetCount_v2": -1 }))
          const program = resolve(import.meta.dirname!, "../../support/hungProbe.ts")
          const env = { FAKE_NVML_STATE: path, FAKE_NVML_LIBRARY: from.library }
          const [took, { printed, status }] = yield* Effect.timed(
            Processes.run([...Processes.runtimes[runtime], program], env),
          )
          assert.strictEqual(status, 7, printed)
          assert.isBelow(Duration.toMillis(took), 10_000)
          yield* gone(Number(/helper (\d+)/.exec(printed)?.[1]))
        }))
    }

    test("a helper that dies between two reads is replaced", (from) =>
      Effect.gen(function* () {
        yield* read
        const pid = yield* helper
        process.kill(pid, "SIGKILL")
        yield* gone(pid)
        assert.lengthOf((yield* eventually(read)).devices, 1)
      }).pipe(Effect.provide(scripted(from, cards(1)).layer)))
  })
}
