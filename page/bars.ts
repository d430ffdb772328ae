/** The memory of a device as parts of a bar. */
import { bytes } from "./format.ts"
import type { DeviceState } from "./state.ts"

/**
 * `model`: in memory. `held`: charged to a model that is not in memory yet, or whose memory is not free yet. `others`:
 * other processes. `reserve`: stays free. `free`: for loads.
 */
export type Kind = "model" | "held" | "others" | "reserve" | "free"

export interface Part {
  readonly kind: Kind
  /** The name of the model, or words for the kind. */
  readonly name: string
  readonly bytes: number
  /** The share of the bar, from 0 to 1. All shares of a bar add up to 1. */
  readonly share: number
}

export interface Bar {
  /** The size of the device; `undefined` where nothing is known of it. */
  readonly total: number | undefined
  readonly used: number
  readonly parts: ReadonlyArray<Part>
  /** The bar in words. */
  readonly words: string
}

const isIn = (state: string): boolean => state === "resident" || state === "draining"

/** One part for each model and kind: two backends can share a device. */
const charges = ({ models }: DeviceState) => {
  const sums = new Map<string, { kind: Kind; name: string; bytes: number }>()
  for (const { bytes, model, state } of models) {
    if (state === "gone" || bytes <= 0) continue
    const kind: Kind = isIn(state) ? "model" : "held"
    const key = `${kind} ${model}`
    const sum = sums.get(key) ?? { kind, name: model, bytes: 0 }
    sum.bytes += bytes
    sums.set(key, sum)
  }
  return Array.from(sums.values()).sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}

/** The bar of a device. Where more is charged than it has, the parts are scaled, and nothing is free. */
export const bar = (device: DeviceState): Bar => {
  const total = device.total ?? device.declared ?? device.capacity ?? undefined
  const charged = charges(device)
  const others = Math.max(0, device.foreign ?? 0)
  const used = charged.reduce((sum, part) => sum + part.bytes, 0) + others
  const reserve = Math.max(0, Math.min(device.reserve ?? 0, (total ?? used) - used))
  const free = Math.max(0, (total ?? used) - used - reserve)
  const whole = used + reserve + free
  const all = [
    ...charged,
    { kind: "others" as const, name: "other processes", bytes: others },
    { kind: "reserve" as const, name: "reserve", bytes: reserve },
    { kind: "free" as const, name: "free", bytes: free },
  ].filter((part) => part.bytes > 0)
  const parts = all.map((part) => ({ ...part, share: part.bytes / whole }))
  const words = parts.map(({ bytes: size, kind, name }) => `${name}${kind === "held" ? " (held)" : ""} ${bytes(size)}`)
    .join(", ")
  const known = total === undefined ? "its size is not known" : `${bytes(used)} of ${bytes(total)}`
  return { total, used, parts, words: words === "" ? known : `${known}: ${words}` }
}

/** Colours for models, by number. */
export const hues = 9

/** Gives each model the same colour for as long as the page is open; the first ones get different colours. */
export const palette = () => {
  const given = new Map<string, number>()
  return (model: string): number => {
    const known = given.get(model)
    if (known !== undefined) return known
    const hue = given.size % hues
    given.set(model, hue)
    return hue
  }
}
