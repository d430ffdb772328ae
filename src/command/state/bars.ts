/**
 * The memory of devices as parts of a bar.
 *
 * @since 0.1.0
 */
import type { DeviceState } from "../../layers/routes/AdminApi.ts"

/**
 * `model`: in memory. `held`: charged to a model that is not in memory yet, or whose memory is not free yet. `others`:
 * other processes. `reserve`: stays free. `free`: for loads.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "model" | "held" | "others" | "reserve" | "free"

/** @category models @since 0.1.0 */
export interface Part {
  readonly kind: Kind
  /** The name of the model, or words for the kind. */
  readonly name: string
  readonly bytes: number
  /** The share of the bar, from 0 to 1. All shares of a bar add up to 1. */
  readonly share: number
}

/** @category models @since 0.1.0 */
export interface Bar {
  /** The size of the devices in bytes; `undefined` where nothing is known of it. */
  readonly total: number | undefined
  readonly used: number
  readonly parts: ReadonlyArray<Part>
}

type Charge = Omit<Part, "share">

const isIn = (state: string): boolean => state === "resident" || state === "draining"

/** One part for each model and kind, by name: two backends can share a device. */
const charges = (devices: ReadonlyArray<DeviceState>): ReadonlyArray<Charge> => {
  const sums = new Map<string, Charge>()
  for (const { bytes, model, state } of devices.flatMap(({ models }) => models)) {
    if (state === "gone" || bytes <= 0) continue
    const kind: Kind = isIn(state) ? "model" : "held"
    const key = `${kind} ${model}`
    sums.set(key, { kind, name: model, bytes: bytes + (sums.get(key)?.bytes ?? 0) })
  }
  return Array.from(sums.values()).sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, value) => all + value, 0)

const sizeOf = ({ capacity, declared, total }: DeviceState): number | undefined =>
  total ?? declared ?? capacity ?? undefined

/**
 * The bar of devices together. Where more is charged than they have, the parts are scaled, and nothing is free.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bar = (devices: ReadonlyArray<DeviceState>): Bar => {
  const sizes = devices.map(sizeOf)
  const total = sizes.length > 0 && sizes.every((size) => size !== undefined) ? sum(sizes) : undefined
  const charged = charges(devices)
  const others = sum(devices.map(({ foreign }) => Math.max(0, foreign ?? 0)))
  const used = sum(charged.map(({ bytes }) => bytes)) + others
  const reserve = Math.max(0, Math.min(sum(devices.map((one) => one.reserve ?? 0)), (total ?? used) - used))
  const free = Math.max(0, (total ?? used) - used - reserve)
  const whole = used + reserve + free
  const all: ReadonlyArray<Charge> = [
    ...charged,
    { kind: "others", name: "other processes", bytes: others },
    { kind: "reserve", name: "reserve", bytes: reserve },
    { kind: "free", name: "free", bytes: free },
  ]
  const parts = all.filter(({ bytes }) => bytes > 0).map((part) => ({ ...part, share: part.bytes / whole }))
  return { total, used, parts }
}

/**
 * How many cells of a bar each part gets: in proportion, all of them together, and at least one for every part that is
 * not free where there are enough.
 *
 * @category conversions
 * @since 0.1.0
 */
export const cells = (parts: ReadonlyArray<Part>, width: number): ReadonlyArray<number> => {
  const exact = parts.map(({ share }) => share * width)
  const given = exact.map(Math.floor)
  const rest = exact.map((value, index) => ({ index, over: value - given[index]! })).sort((a, b) => b.over - a.over)
  const left = parts.length === 0 ? 0 : width - sum(given)
  for (const { index } of rest.slice(0, left)) given[index]!++
  parts.forEach(({ kind }, index) => {
    if (given[index]! > 0 || kind === "free" || kind === "reserve") return
    const largest = given.indexOf(Math.max(...given))
    if (given[largest]! <= 1) return
    given[largest]!--
    given[index]!++
  })
  return given
}
