import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, Layer, Option } from "effect"
import { afterAll } from "vitest"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as NvidiaSmiGpuProbe from "../../../src/layers/gpu/NvidiaSmiGpuProbe.ts"
import { GpuProbe, Unhealthy } from "../../../src/services/GpuProbe.ts"
import { contract, plausible } from "../../../src/testing/contracts/GpuProbe.ts"
import { holds } from "../../support/checks.ts"

// The machine's own setting must not select among the devices of the test.
delete process.env["CUDA_VISIBLE_DEVICES"]

const folder = mkdtempSync(join(tmpdir(), "fake-smi-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A program that runs these lines of shell. */
const tool = (name: string, body: string): string => {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

const prints = (name: string, ...lines: ReadonlyArray<string>): string =>
  tool(name, `cat <<'END'\n${lines.join("\n")}\nEND`)

const layerOf = (command: string, options?: NvidiaSmiGpuProbe.Options) =>
  NvidiaSmiGpuProbe.layer({ command, ...options }).pipe(Layer.provide(NodeServices.layer))

const two = [
  "0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, 7, 81150, 12, 33, 61.55, Disabled, 8.0",
  "1, GPU-b, NVIDIA A100-SXM4-80GB, 81920, 40960, 40197, 100, 70, 399.01, Disabled, 8.0",
]
const working = layerOf(prints("two", ...two))
const hung = tool("hung", `echo $$ >> ${folder}/pids\nexec sleep 60`)

holds(
  "NvidiaSmiGpuProbe is a GpuProbe",
  contract({
    working,
    kind: "gpu",
    partial: layerOf(
      tool("partial", `echo '${two[0]}'; echo '1, GPU-b${", [GPU is lost]".repeat(9)}'; exit 15`),
    ),
    failing: [layerOf(join(folder, "none")), "LibraryMissing"],
    hanging: layerOf(hung),
  }),
)

const read = Effect.flatMap(GpuProbe, (probe) => probe.read)

describe("NvidiaSmiGpuProbe", () => {
  it.live("reads the table", () =>
    Effect.gen(function* () {
      const { devices } = yield* read
      assert.deepInclude(devices[1], {
        uuid: "GPU-b",
        name: "NVIDIA A100-SXM4-80GB",
        total: Option.some(ByteSize.mebibytes(81920)),
        free: Option.some(ByteSize.mebibytes(40197)),
        used: Option.some(ByteSize.mebibytes(40960)),
        utilisation: Option.some(1),
        temperature: Option.some(70),
        power: Option.some(399.01),
        health: Option.none(),
        computeCapability: Option.some(8),
      })
    }).pipe(Effect.provide(working)))

  const texts = [
    "[N/A]",
    "N/A",
    "[Not Supported]",
    "[Insufficient Permissions]",
    "[Unknown Error]",
    "[GPU is lost]",
    "unknown under WDDM",
    "",
  ]
  for (const text of texts) {
    it.live(`reads ${JSON.stringify(text)} as unknown, never as zero`, () =>
      Effect.gen(function* () {
        const [device] = (yield* read).devices
        assert.isDefined(device)
        for (const key of ["total", "free", "used", "utilisation", "temperature", "power"] as const) {
          assert.deepStrictEqual<unknown>(device![key], Option.none(), key)
        }
      }).pipe(
        Effect.provide(
          layerOf(prints("texts", `0, GPU-a, Some card, ${Array(6).fill(text).join(", ")}, ${text}, ${text}`)),
        ),
      ))
  }

  it.live("reports the system's memory for a device without its own", () =>
    Effect.gen(function* () {
      const [device] = (yield* read).devices
      assert.strictEqual(device!.kind, "integrated")
      assert.isTrue(Option.isSome(device!.free))
    }).pipe(
      Effect.provide(layerOf(prints("gb10", "0, GPU-a, NVIDIA GB10, [N/A], [N/A], [N/A], 0, 40, 5.1, [N/A], 12.1"))),
    ))

  it.live("reports the memory of a card with MIG instances as unknown", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone((yield* read).devices[0]!.free))
    }).pipe(Effect.provide(layerOf(prints("mig", two[0]!.replace("Disabled", "Enabled"))))))

  const [cut] = [two[0]!.replace(", Disabled, 8.0", "")]
  const refuses = (field: string, status: number, row: string) =>
    `case "$1" in *${field}*) echo 'Field "${field}" is not a valid field to query.'; exit ${status};; esac\n${row}`
  const olds: ReadonlyArray<readonly [name: string, body: string, capability: number | undefined]> = [
    ["neither field", refuses("mig.mode.current", 2, refuses("compute_cap", 2, `echo '${cut}'`)), undefined],
    ["the MIG field", refuses("mig.mode.current", 2, `echo '${cut}, 7.5'`), 7.5],
    ["the compute capability", refuses("compute_cap", 6, `echo '${cut}, Disabled'`), undefined],
  ]
  for (const [name, body, capability] of olds) {
    it.live(`asks again where the driver does not know ${name}`, () =>
      Effect.gen(function* () {
        const [device] = (yield* read).devices
        assert.deepStrictEqual(device!.free, Option.some(ByteSize.mebibytes(81150)))
        assert.strictEqual(Option.getOrUndefined(device!.computeCapability), capability)
      }).pipe(Effect.provide(layerOf(tool(`old-${name.replaceAll(" ", "-")}`, body)))))
  }

  const lines = (name: string, status: number, ...printed: ReadonlyArray<string>): string =>
    tool(name, `cat <<'END'\n${printed.join("\n")}\nEND\nexit ${status}`)
  const row = (text: string, uuid = "GPU-a", model = "NVIDIA A100-SXM4-80GB") =>
    `0, ${uuid}, ${model}, ${Array(8).fill(text).join(", ")}`
  /** How the tool prints one GPU that is broken; what it says of it; its id. */
  const broken: ReadonlyArray<readonly [printed: string, reason: string, uuid: string, status: number]> = [
    [row("[GPU is lost]"), "GPU is lost", "GPU-a", 15],
    [row("[GPU is lost]", "[GPU is lost]", "[GPU is lost]"), "GPU is lost", "nvidia-smi-0", 15],
    [row("GPU is lost"), "GPU is lost", "GPU-a", 0],
    [row("[Unknown Error]"), "Unknown Error", "GPU-a", 255],
    [row("[Unknown Error]", "[Unknown Error]"), "Unknown Error", "nvidia-smi-0", 0],
    [row("[GPU requires reset]"), "GPU requires reset", "GPU-a", 16],
    [row("ERR!"), "ERR!", "GPU-a", 15],
    [row("[N/A]").replace(", [N/A], [N/A]", ", [GPU is lost], [N/A]"), "GPU is lost", "GPU-a", 15],
    [
      "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU",
      "GPU is lost",
      "pci-0000:01:00.0",
      15,
    ],
    [
      "Unable to determine the device handle for GPU0: 0000:41:00.0: Unknown Error",
      "Unknown Error",
      "pci-0000:41:00.0",
      255,
    ],
  ]
  for (const [index, [printed, reason, uuid, status]] of broken.entries()) {
    it.live(`shows the healthy GPU beside ${JSON.stringify(printed.slice(0, 60))}, status ${status}`, () =>
      Effect.gen(function* () {
        for (const order of [[printed, two[1]!], [two[1]!, printed]]) {
          const found = yield* Effect.provide(read, layerOf(lines(`broken-${index}`, status, ...order)))
          plausible(found)
          assert.lengthOf(found.devices, 2)
          const lost = found.devices.find((device) => device.uuid === uuid)!
          const well = found.devices.find((device) => device.uuid === "GPU-b")!
          assert.deepStrictEqual(lost.health, Option.some(new Unhealthy({ reason })))
          assert.isTrue(Option.isNone(lost.free))
          assert.deepStrictEqual(well.free, Option.some(ByteSize.mebibytes(40197)))
          assert.deepStrictEqual(well.health, Option.none())
        }
      }))
  }

  it.live("a sensor that fails does not make a GPU unhealthy", () =>
    Effect.gen(function* () {
      const found = yield* Effect.provide(read, layerOf(prints("sensor", two[0]!.replace("61.55", "[Unknown Error]"))))
      assert.deepStrictEqual(found.devices[0]!.health, Option.none())
      assert.deepStrictEqual(found.devices[0]!.free, Option.some(ByteSize.mebibytes(81150)))
    }))

  it.live("a GPU that is lost keeps the id that it had, by its address or its index, and comes back", () =>
    Effect.gen(function* () {
      const file = join(folder, "changing")
      const [a, b] = two.map((line, index) => `${line}, 00000000:${index}1:00.0`)
      const lost = "[GPU is lost]"
      const steps: ReadonlyArray<readonly [printed: ReadonlyArray<string>, health: ReadonlyArray<string>]> = [
        [[a!, b!], ["GPU-a", "GPU-b"]],
        [[row(lost, lost, lost), b!], ["GPU-a lost", "GPU-b"]],
        [["Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.", b!], ["GPU-a lost", "GPU-b"]],
        // The index of the other one has changed: the address says which one it is.
        [["Unable to determine the device handle for GPU0: 0000:11:00.0: GPU is lost", a!], ["GPU-b lost", "GPU-a"]],
        [[b!], ["GPU-b"]],
        [[a!, b!], ["GPU-a", "GPU-b"]],
      ]
      const probe = yield* GpuProbe
      for (const [printed, expected] of steps) {
        writeFileSync(file, printed.join("\n"))
        const { devices } = yield* probe.read
        const said = devices.map(({ health, uuid }) => Option.isSome(health) ? `${uuid} lost` : uuid)
        assert.deepStrictEqual(said, expected)
      }
    }).pipe(Effect.provide(layerOf(tool("changes", `cat ${folder}/changing\nexit 15`)))))

  it.live("shows a lone GPU that is lost, if it is in the table", () =>
    Effect.gen(function* () {
      const [device] = (yield* Effect.provide(read, layerOf(lines("all-lost", 15, row("[GPU is lost]"))))).devices
      assert.deepStrictEqual(device!.health, Option.some(new Unhealthy({ reason: "GPU is lost" })))
      assert.strictEqual(device!.uuid, "GPU-a")
    }))

  it.live("shows no device where there is none", () =>
    Effect.gen(function* () {
      assert.lengthOf((yield* read).devices, 0)
    }).pipe(Effect.provide(layerOf(prints("zero", "No devices were found")))))

  it.live("lists only the devices that CUDA may use", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* read).devices.map(({ uuid }) => uuid), ["GPU-b"])
    }).pipe(Effect.provide(layerOf(prints("visible", ...two), { visible: "GPU-b" }))))

  const failures: ReadonlyArray<readonly [reason: string, status: number, says: string]> = [
    ["DriverMismatch", 18, "Failed to initialize NVML: Driver/library version mismatch"],
    ["DriverNotLoaded", 9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."],
    ["PermissionDenied", 4, "Failed to initialize NVML: Insufficient Permissions"],
    ["DeviceLost", 15, "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost."],
    ["Failed", 255, "Failed to initialize NVML: Unknown Error"],
  ]
  for (const [reason, status, says] of failures) {
    it.live(`recognises ${reason} in the tool's output`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read)
        assert.strictEqual(error.reason._tag, reason)
        assert.strictEqual(error.reason.description, says)
      }).pipe(Effect.provide(layerOf(tool(`fails-${status}`, `echo "${says}"\nexit ${status}`)))))
  }

  it.live("runs one process at a time, kills one that does not end, and goes on", () =>
    Effect.gen(function* () {
      const [took, errors] = yield* Effect.timed(
        Effect.all(Array.from({ length: 10 }, () => Effect.flip(read)), { concurrency: "unbounded" }),
      )
      for (const error of errors) assert.strictEqual(error.reason._tag, "Timeout")
      assert.isBelow(Duration.toMillis(took), 1_500)
      yield* Effect.sleep("100 millis")
      yield* Effect.flip(read)
      const pids = readFileSync(join(folder, "mine"), "utf8").trim().split("\n")
      assert.lengthOf(pids, 2)
    }).pipe(
      Effect.provide(layerOf(tool("mine.sh", `echo $$ >> ${folder}/mine\nexec sleep 60`), { timeout: "400 millis" })),
    ))
})
