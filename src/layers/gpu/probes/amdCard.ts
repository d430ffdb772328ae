/**
 * One AMD graphics card, read from its folder in sysfs.
 *
 * No npm library reads these files on Node and Deno without a native addon; the format is one number or word a file.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, FileSystem, Option } from "effect"
import { type GpuReading, Unhealthy, unknown } from "../../../services/GpuProbe.ts"
import * as Reading from "./reading.ts"
import * as SystemMemory from "./systemMemory.ts"

/**
 * An APU's own memory is a part of the system's memory that is reserved for it. Models also go into the system memory
 * that the APU maps (GTT). Ollama calls a device integrated when its own memory is small and GTT is at least four times
 * as large. A card with more memory than this is never taken for an APU: a mistake then reports less memory, not more.
 */
const carveOutMax = ByteSize.gibibytes(2)
const gttFactor = 4n

const text = (path: string): Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) =>
    Effect.option(Effect.map(files.readFileString(path), (content) => content.trim()))
  )

const number = (path: string): Effect.Effect<number | undefined, never, FileSystem.FileSystem> =>
  Effect.map(text(path), (found) => {
    const value = Option.getOrElse(found, () => "")
    return /^-?\d+$/.test(value) ? Number(value) : undefined
  })

/** The names in a folder; none where it cannot be read. @internal */
export const list = (path: string): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) => Effect.orElseSucceed(files.readDirectory(path), () => []))

const vramTotal = (device: string): string => `${device}/mem_info_vram_total`

/** Whether the amdgpu driver shows memory for this device folder. @internal */
export const isCard = (device: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) => Effect.orElseSucceed(files.exists(vramTotal(device)), () => false))

/**
 * Why the memory of a card cannot be read. The file is there, so a card that does not answer has fallen off the bus or
 * hangs. A missing permission says nothing about the card.
 */
const faultOf = (device: string): Effect.Effect<string | undefined, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) =>
    Effect.match(files.readFileString(vramTotal(device)), {
      onSuccess: (content) => /^\d+$/.test(content.trim()) ? undefined : "its memory is not a number",
      onFailure: ({ message, reason }) =>
        reason._tag === "PermissionDenied" ? undefined : `its memory cannot be read: ${message}`,
    })
  )

const memoryOf = Effect.fnUntraced(function* (device: string, root: string) {
  const total = yield* number(vramTotal(device))
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
    // GTT is a permission to map system memory, not memory: other programs may have taken that memory.
    free: plus(own.free, Reading.lesser(gtt.free, system.free)),
    used: plus(own.used, gtt.used),
  }
})

const sensorsOf = Effect.fnUntraced(function* (device: string) {
  const [hwmon = ""] = yield* list(`${device}/hwmon`)
  const milliCelsius = yield* number(`${device}/hwmon/${hwmon}/temp1_input`)
  const average = yield* number(`${device}/hwmon/${hwmon}/power1_average`)
  const microWatts = average ?? (yield* number(`${device}/hwmon/${hwmon}/power1_input`))
  return {
    utilisation: Reading.percent(yield* number(`${device}/gpu_busy_percent`)),
    temperature: Reading.celsius(scaled(milliCelsius, 1e3)),
    power: Reading.watts(scaled(microWatts, 1e6)),
  }
})

/** Reads the card whose files are in the folder `device`. `/proc` and `/sys` are below `root`. @internal */
export const read = Effect.fnUntraced(function* (
  device: string,
  root: string,
): Effect.fn.Return<GpuReading, never, FileSystem.FileSystem> {
  const uevent = Option.getOrElse(yield* text(`${device}/uevent`), () => "")
  const address = /^PCI_SLOT_NAME=(.+)$/m.exec(uevent)?.[1]
  const serial = yield* text(`${device}/unique_id`)
  const product = yield* text(`${device}/product_name`)
  // The number of a card changes between starts of the machine. Its serial number and its place on the bus do not.
  const place = `pci-${address ?? device.slice(device.lastIndexOf("card"), -"/device".length)}`
  const uuid = Option.match(Option.filter(serial, (id) => id !== ""), {
    onNone: () => place,
    onSome: (id) => `GPU-${id}`,
  })
  const name = Option.getOrElse(
    Option.filter(product, (found) => found !== ""),
    () => `AMD GPU ${address ?? ""}`.trim(),
  )
  const memory = yield* memoryOf(device, root)
  const fault = yield* faultOf(device)
  const health = fault === undefined ? Option.none() : Option.some(new Unhealthy({ reason: fault }))
  return { ...unknown(uuid, name, memory.kind), ...memory, ...(yield* sensorsOf(device)), health }
})

const difference = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a - b

const scaled = (value: number | undefined, unit: number): number | undefined =>
  value === undefined ? undefined : value / unit

const plus = (
  a: Option.Option<ByteSize.ByteSize>,
  b: Option.Option<ByteSize.ByteSize>,
): Option.Option<ByteSize.ByteSize> =>
  Option.isSome(a) && Option.isSome(b) ? Option.some(ByteSize.sum(a.value, b.value)) : Option.none()
