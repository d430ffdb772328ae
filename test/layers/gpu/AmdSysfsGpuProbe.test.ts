import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import { afterAll } from "vitest"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as AmdSysfsGpuProbe from "../../../src/layers/gpu/AmdSysfsGpuProbe.ts"
import { GpuProbe } from "../../../src/services/GpuProbe.ts"
import { contract, plausible } from "../../../src/testing/contracts/GpuProbe.ts"
import { holds } from "../../support/checks.ts"
import * as Tree from "../../support/tree.ts"

const gib = 1024 ** 3
const layerAt = (root: string) => AmdSysfsGpuProbe.layer({ root }).pipe(Layer.provide(NodeServices.layer))

const card = (number: number, files: Readonly<Record<string, string | number>>) =>
  Object.fromEntries(
    Object.entries(files).map(([name, value]) => [`sys/class/drm/card${number}/device/${name}`, value]),
  )

const discrete = card(1, {
  mem_info_vram_total: 24 * gib,
  mem_info_vram_used: 4 * gib,
  // As large as half of the system's memory; no model may use it.
  mem_info_gtt_total: 128 * gib,
  mem_info_gtt_used: 0,
  gpu_busy_percent: 25,
  unique_id: "abcdef0123456789",
  product_name: "Radeon RX 7900 XTX",
  uevent: "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
  "hwmon/hwmon4/temp1_input": 61_000,
  "hwmon/hwmon4/power1_average": 98_000_000,
})

const apu = card(0, {
  mem_info_vram_total: gib / 2,
  mem_info_vram_used: gib / 4,
  mem_info_gtt_total: 30 * gib,
  mem_info_gtt_used: 2 * gib,
  uevent: "PCI_SLOT_NAME=0000:c4:00.0",
})

const meminfo = { "proc/meminfo": `MemTotal: ${64 * 1024 ** 2} kB\nMemAvailable: ${10 * 1024 ** 2} kB` }
const connectors = { "sys/class/drm/card1-DP-1/status": "connected", "sys/class/drm/version": "drm 1.1.0" }
const another = card(2, { vendor: "0x8086" })

const machine = Tree.make({ ...discrete, ...apu, ...meminfo, ...connectors, ...another })
const none = Tree.make(another)
// The kernel answers for a card that is off the bus with an error. A folder is read with an error as well.
const oneLost = Tree.make({ ...discrete, ...card(3, { "mem_info_vram_total/x": 0, unique_id: "lost" }), ...meminfo })
afterAll(() => [machine, none, oneLost].forEach(Tree.remove))

holds(
  "AmdSysfsGpuProbe is a GpuProbe",
  contract({
    working: layerAt(machine),
    kind: "gpu",
    partial: layerAt(oneLost),
    failing: [layerAt(none), "NotSupported"],
  }),
)

const read = Effect.flatMap(GpuProbe, (probe) => probe.read)
const size = (share: number) => Option.some(ByteSize.bytes(share * gib))

describe("AmdSysfsGpuProbe", () => {
  it.live("reads a card", () =>
    Effect.gen(function* () {
      const { devices } = yield* read
      assert.lengthOf(devices, 2)
      assert.deepStrictEqual(devices[1], {
        uuid: "GPU-abcdef0123456789",
        name: "Radeon RX 7900 XTX",
        kind: "gpu",
        total: size(24),
        free: size(20),
        used: size(4),
        utilisation: Option.some(0.25),
        temperature: Option.some(61),
        power: Option.some(98),
        health: Option.none(),
        processes: Option.none(),
        computeCapability: Option.none(),
      })
    }).pipe(Effect.provide(layerAt(machine))))

  it.live("adds the system memory that an APU may map, but no more than is available", () =>
    Effect.gen(function* () {
      const [device] = (yield* read).devices
      assert.deepInclude(device, {
        uuid: "pci-0000:c4:00.0",
        kind: "integrated",
        total: size(30.5),
        free: size(10.25),
        used: size(2.25),
      })
      assert.isTrue(Option.isNone(device!.temperature))
    }).pipe(Effect.provide(layerAt(machine))))

  it.live("reports free as unknown where the kernel does not report the used memory", () =>
    Effect.gen(function* () {
      const root = yield* Tree.scoped({ ...card(0, { mem_info_vram_total: 8 * gib }), ...meminfo })
      const [device] = (yield* Effect.provide(read, layerAt(root))).devices
      assert.deepInclude(device, { uuid: "pci-card0", total: size(8), free: Option.none(), used: Option.none() })
    }))

  // A folder in place of a file, or a link to nothing, is read with an error, as from a card that is off the bus.
  const faults: ReadonlyArray<readonly [what: string, breaks: (device: string) => void, memory: boolean]> = [
    ["memory that cannot be read", (device) => {
      rmSync(join(device, "mem_info_vram_total"))
      mkdirSync(join(device, "mem_info_vram_total"))
    }, false],
    ["no number", (device) => writeFileSync(join(device, "mem_info_vram_total"), "\n"), false],
    ["a negative number", (device) => writeFileSync(join(device, "mem_info_vram_total"), "-19\n"), false],
    ["sensors that cannot be read", (device) => {
      rmSync(join(device, "gpu_busy_percent"))
      mkdirSync(join(device, "gpu_busy_percent"))
      rmSync(join(device, "hwmon"), { recursive: true })
      writeFileSync(join(device, "hwmon"), "")
    }, true],
    ["no name", (device) => {
      rmSync(join(device, "product_name"))
      mkdirSync(join(device, "product_name"))
    }, true],
  ]
  for (const [what, breaks, memory] of faults) {
    it.live(`a card with ${what} hides no other`, () =>
      Effect.gen(function* () {
        const root = yield* Tree.scoped({ ...discrete, ...apu, ...meminfo })
        breaks(join(root, "sys/class/drm/card1/device"))
        const found = yield* Effect.provide(read, layerAt(root))
        plausible(found)
        const [well, broken] = found.devices
        assert.deepInclude(well, { uuid: "pci-0000:c4:00.0", free: size(10.25), health: Option.none() })
        assert.strictEqual(broken?.uuid, "GPU-abcdef0123456789")
        assert.strictEqual(Option.isSome(broken!.free), memory)
        assert.strictEqual(Option.isSome(broken!.health), !memory)
      }))
  }
})
