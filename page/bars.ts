/** The memory of a device as parts of a bar, in words, and in colours. */
import * as Bars from "../src/command/state/bars.ts"
import { bytes } from "./format.ts"
import type { DeviceState } from "./state.ts"

export type { Kind, Part } from "../src/command/state/bars.ts"

export interface Bar extends Bars.Bar {
  /** The bar in words. */
  readonly words: string
}

/** The bar of a device. */
export const bar = (device: DeviceState): Bar => {
  const made = Bars.bar([device])
  const { parts, total, used } = made
  const words = parts.map(({ bytes: size, kind, name }) => `${name}${kind === "held" ? " (held)" : ""} ${bytes(size)}`)
    .join(", ")
  const known = total === undefined ? "its size is not known" : `${bytes(used)} of ${bytes(total)}`
  return { ...made, words: words === "" ? known : `${known}: ${words}` }
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
