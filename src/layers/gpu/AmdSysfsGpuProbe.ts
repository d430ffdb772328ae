/**
 * AMD GPUs as the Linux kernel's driver (amdgpu) shows them in sysfs: no library, no tool, no privilege.
 *
 * @since 0.1.0
 */
import { ByteSize, Duration, Effect, FileSystem, Layer, Option } from "effect"
import {
  GpuProbe,
  GpuProbeError,
  type GpuReading,
  type GpuReadings,
  NotSupported,
  unknown,
} from "../../services/GpuProbe.ts"
import * as Flight from "./probes/flight.ts"
import * as Reading from "./probes/reading.ts"
import * as SystemMemory from "./probes/systemMemory.ts"

const source = "amd-sysfs"

/**
 * An APU's own memory is a piece cut out of the system's, and models go into the system memory that it maps as well (GTT). Ollama calls a device integrated
 * when its memory is small and GTT at least four times as large. A bigger card than this one is never taken for an APU: that errs towards less memory.
 */
const carveOutMax = ByteSize.gibibytes(2)
const gttFactor = 4n

const make = Effect.fnUntraced(function* (root: string) {
  const files = yield* FileSystem.FileSystem
  const text = (path: string) => Effect.option(Effect.map(files.readFileString(path), (content) => content.trim()))
  const number = (path: string) =>
    Effect.map(text(path), (found) => {
      const value = Option.getOrElse(found, () => "")
      return /^-?\d+$/.test(value) ? Number(value) : undefined
    })
  const list = (path: string) => Effect.orElseSucceed(files.readDirectory(path), () => [])

  const memoryOf = Effect.fnUntraced(function* (device: string) {
    const total = yield* number(`${device}/mem_info_vram_total`)
    const used = yield* number(`${device}/mem_info_vram_used`)
    const own = Reading.memory(total, difference(total, used), used)
    const gttTotal = yield* number(`${device}/mem_info_gtt_total`)
    const integrated = Option.isSome(own.total) && gttTotal !== undefined &&
      ByteSize.isLessThanOrEqualTo(own.total.value, carveOutMax) && BigInt(gttTotal) >= own.total.value * gttFactor
    if (!integrated) return { kind: "gpu" as const, ...own }
    const gttUsed = yield* number(`${device}/mem_info_gtt_used`)
    const gtt = Reading.memory(gttTotal, difference(gttTotal, gttUsed), gttUsed)
    const system = Option.getOrElse(yield* SystemMemory.read(root), () => Reading.noMemory)
    return {
      kind: "integrated" as const,
      total: plus(own.total, gtt.total),
      // GTT is a permission to map system memory, not memory: others may have taken it.
      free: plus(own.free, Reading.lesser(gtt.free, system.free)),
      used: plus(own.used, gtt.used),
    }
  })

  const deviceOf = Effect.fnUntraced(function* (device: string) {
    const uevent = Option.getOrElse(yield* text(`${device}/uevent`), () => "")
    const address = /^PCI_SLOT_NAME=(.+)$/m.exec(uevent)?.[1]
    const serial = yield* text(`${device}/unique_id`)
    const product = yield* text(`${device}/product_name`)
    const [hwmon = ""] = yield* list(`${device}/hwmon`)
    const milliCelsius = yield* number(`${device}/hwmon/${hwmon}/temp1_input`)
    const average = yield* number(`${device}/hwmon/${hwmon}/power1_average`)
    const microWatts = average ?? (yield* number(`${device}/hwmon/${hwmon}/power1_input`))
    // Card numbers change from start to start; the serial number, or else the place on the bus, does not.
    const place = `pci-${address ?? device.slice(device.lastIndexOf("card"), -"/device".length)}`
    const uuid = Option.match(Option.filter(serial, (id) => id !== ""), {
      onNone: () => place,
      onSome: (id) => `GPU-${id}`,
    })
    const name = Option.getOrElse(
      Option.filter(product, (found) => found !== ""),
      () => `AMD GPU ${address ?? ""}`.trim(),
    )
    const memory = yield* memoryOf(device)
    return {
      ...unknown(uuid, name, memory.kind),
      ...memory,
      utilisation: Reading.percent(yield* number(`${device}/gpu_busy_percent`)),
      temperature: Reading.celsius(scaled(milliCelsius, 1e3)),
      power: Reading.watts(scaled(microWatts, 1e6)),
    } satisfies GpuReading
  })

  const once = Effect.gen(function* () {
    const cards = (yield* list(`${root}/sys/class/drm`)).filter((name) => /^card\d+$/.test(name))
    const devices: Array<GpuReading> = []
    for (const card of cards.sort()) {
      const device = `${root}/sys/class/drm/${card}/device`
      if (yield* Effect.orElseSucceed(files.exists(`${device}/mem_info_vram_total`), () => false)) {
        devices.push(yield* deviceOf(device))
      }
    }
    if (devices.length === 0) return yield* new GpuProbeError({ source, reason: none })
    return { source, passedOver: [], devices } satisfies GpuReadings
  }).pipe(Effect.provideService(FileSystem.FileSystem, files))

  const read = yield* Flight.shared(source, Duration.seconds(2), once)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Reads `/sys/class/drm/card*`.
 *
 * **Details**
 *
 * For an APU, total is its own memory and what it may map of the system's (GTT); free is never more than the system has available.
 *
 * **Gotchas**
 *
 * The kernel does not say there who holds the memory, nor whether the device is well: `processes` and `health` are none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Where `/proc` and `/sys` are. Defaults to `""`, the real root. */
  readonly root?: string | undefined
}): Layer.Layer<GpuProbe, never, FileSystem.FileSystem> => Layer.effect(GpuProbe, make(options?.root ?? ""))

const none = new NotSupported({ description: "no card with an AMD driver in /sys/class/drm" })

const difference = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a - b

const scaled = (value: number | undefined, unit: number): number | undefined =>
  value === undefined ? undefined : value / unit

const plus = (
  a: Option.Option<ByteSize.ByteSize>,
  b: Option.Option<ByteSize.ByteSize>,
): Option.Option<ByteSize.ByteSize> =>
  Option.isSome(a) && Option.isSome(b) ? Option.some(ByteSize.sum(a.value, b.value)) : Option.none()
