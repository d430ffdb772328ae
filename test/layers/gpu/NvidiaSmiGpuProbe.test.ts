import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, Layer, Option } from "effect"
import { afterAll } from "vitest"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as NvidiaSmiGpuProbe from "../../../src/layers/gpu/NvidiaSmiGpuProbe.ts"
import { GpuProbe } from "../../../src/services/GpuProbe.ts"
import { contract } from "../../../src/testing/contracts/GpuProbe.ts"
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
  "0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, 7, 81150, 12, 33, 61.55, Disabled",
  "1, GPU-b, NVIDIA A100-SXM4-80GB, 81920, 40960, 40197, 100, 70, 399.01, Disabled",
]
const working = layerOf(prints("two", ...two))
const hung = tool("hung", `echo $$ >> ${folder}/pids\nexec sleep 60`)

holds(
  "NvidiaSmiGpuProbe is a GpuProbe",
  contract({
    working,
    kind: "gpu",
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
        Effect.provide(layerOf(prints("texts", `0, GPU-a, Some card, ${Array(6).fill(text).join(", ")}, ${text}`))),
      ))
  }

  it.live("reports the system's memory for a device without its own", () =>
    Effect.gen(function* () {
      const [device] = (yield* read).devices
      assert.strictEqual(device!.kind, "integrated")
      assert.isTrue(Option.isSome(device!.free))
    }).pipe(Effect.provide(layerOf(prints("gb10", "0, GPU-a, NVIDIA GB10, [N/A], [N/A], [N/A], 0, 40, 5.1, [N/A]")))))

  it.live("reports the memory of a card with MIG instances as unknown", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone((yield* read).devices[0]!.free))
    }).pipe(Effect.provide(layerOf(prints("mig", two[0]!.replace("Disabled", "Enabled"))))))

  it.live("asks again without the MIG field where the driver does not know it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* read).devices[0]!.free, Option.some(ByteSize.mebibytes(81150)))
    }).pipe(Effect.provide(layerOf(tool(
      "old",
      `case "$1" in *mig*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; esac\necho '${
        two[0]!.replace(", Disabled", "")
      }'`,
    )))))

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
