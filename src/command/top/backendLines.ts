/**
 * The backends in the frame of `llamero top`: one line each, with the memory of its devices as a bar by model; more
 * lines for backends with several devices, where there is place.
 *
 * @since 0.1.0
 */
import type { BackendState, DeviceState } from "../../layers/routes/AdminApi.ts"
import * as Format from "../format.ts"
import { plain } from "../output.ts"
import { type Bar, bar, cells, type Part } from "../state/bars.ts"
import { condition, ordered, urgency } from "../state/state.ts"
import type { Glyphs } from "./glyphs.ts"
import { type Color, hues, type Line, pad, padLeft, type Span, span, widthOf } from "./line.ts"
import type { View } from "./view.ts"

/** Widths of the columns; 0 for one that has no place. */
interface Widths {
  readonly name: number
  readonly condition: number
  readonly streams: number
  readonly bar: number
  readonly size: number
}

/** The longest condition is `breaker half-open`. */
const conditionMax = 17
const sizeWidth = 15

/** A name as it is shown, before anything is measured. */
const nameOf = ({ id }: BackendState): string => plain(id)

const longest = (texts: ReadonlyArray<string>, most: number): number =>
  Math.min(most, texts.reduce((width, text) => Math.max(width, widthOf(text)), 0))

const streamsOf = ({ streams, streams_max }: BackendState): string => `${streams}/${streams_max}`

const widthsFor = (backends: ReadonlyArray<BackendState>, columns: number): Widths => {
  const name = Math.max(7, longest(backends.map(nameOf), Math.max(8, Math.floor(columns / 4))))
  const state = columns < 60 ? 1 : Math.max(5, longest(backends.map((one) => condition(one)), conditionMax))
  const streams = Math.max(columns < 60 ? 0 : 7, longest(backends.map(streamsOf), 9))
  const rest = columns - name - state - streams - 3
  const size = rest >= sizeWidth + 9 ? sizeWidth : 0
  const left = rest - (size === 0 ? 0 : size + 1)
  return {
    name,
    condition: state,
    streams,
    size,
    bar: Math.max(4, left < 26 ? left : Math.min(48, Math.floor(left / 2))),
  }
}

/** The colour of a model: the same one always. */
const hueOf = (model: string): number => {
  let hash = 0
  for (const character of model) hash = (hash * 31 + character.codePointAt(0)!) >>> 0
  return hash % hues.length
}

const kindColors: Readonly<Record<Exclude<Part["kind"], "model">, Color>> = {
  held: "warn",
  others: "dim",
  reserve: "dim",
  free: "dim",
}

const isModel = ({ kind }: Part): boolean => kind === "model" || kind === "held"

/** The colours of parts. A neighbour of the same colour gets the next one. */
const colorsOf = (parts: ReadonlyArray<Part>): ReadonlyArray<Color> => {
  let before = -1
  return parts.map((part) => {
    if (!isModel(part)) return kindColors[part.kind as "free"]
    const hue = hueOf(part.name)
    return before = hue === before ? (hue + 1) % hues.length : hue
  })
}

/** The bar with its size, and its models in the same colours. */
const barLine = (one: Bar, { bar: width, size }: Widths, glyphs: Glyphs): Line => {
  const colors = colorsOf(one.parts)
  let models = 0
  const drawn = cells(one.parts, width).map((count, index): Span => {
    const { kind } = one.parts[index]!
    const glyph = kind === "model" ? glyphs.models[models++ % 2]! : glyphs.kinds[kind]
    return { text: glyph.repeat(count), color: colors[index] }
  })
  const words = size === 0 ? [] : [span(` ${padLeft(Format.bytesOf(one.used, one.total), size, glyphs.cut)}`)]
  const legend = one.parts.flatMap((part, index): ReadonlyArray<Span> =>
    isModel(part) || part.kind === "others"
      ? [span(`  ${part.name}`, colors[index]), span(` ${Format.bytes(part.bytes)}`, "dim")]
      : []
  )
  return one.parts.length === 0 ? [span("nothing in memory", "dim")] : [...drawn, ...words, ...legend]
}

/** The models of a backend whose devices are not known. */
const modelsLine = ({ models }: BackendState): Line =>
  models.length === 0 ? [span("nothing in memory", "dim")] : models.flatMap((one, index) => [
    span(`${index === 0 ? "" : "  "}${one.model}`, hueOf(one.model)),
    span(` ${one.state === "resident" ? Format.bytes(one.size) : one.state}`, "dim"),
  ])

const colors: ReadonlyArray<Color> = ["good", "warn", "warn", "bad"]
const marks: ReadonlyArray<string> = [" ", "-", "~", "!"]

/** The name of a backend, its condition and its streams. */
const beginning = (one: BackendState, widths: Widths, glyphs: Glyphs): Line => {
  const urgent = urgency(one)
  const state = widths.condition === 1 ? marks[urgent]! : condition(one)
  return [
    span(pad(nameOf(one), widths.name, glyphs.cut)),
    span(` ${pad(state, widths.condition, glyphs.cut)}`, colors[urgent]),
    span(` ${padLeft(streamsOf(one), widths.streams)} `),
  ]
}

type Drawn = (
  one: BackendState,
  devices: ReadonlyArray<DeviceState>,
  widths: Widths,
  glyphs: Glyphs,
) => Line

/** A backend in one line, with its devices together. */
const line: Drawn = (one, devices, widths, glyphs) => [
  ...beginning(one, widths, glyphs),
  ...(devices.length === 0 ? modelsLine(one) : barLine(bar(devices), widths, glyphs)),
]

/** A backend with a line for each device. */
const lines = (...[one, devices, widths, glyphs]: Parameters<Drawn>): ReadonlyArray<Line> => {
  if (devices.length === 0) return [line(one, devices, widths, glyphs)]
  const begin = beginning(one, widths, glyphs)
  const indent = [span(" ".repeat(begin.reduce((sum, { text }) => sum + widthOf(text), 0)))]
  return devices.map((device, index) => [...(index === 0 ? begin : indent), ...barLine(bar([device]), widths, glyphs)])
}

const titles = ({ bar, condition, name, size, streams }: Widths): Line => [
  span(
    [
      pad("BACKEND", name),
      pad(condition === 1 ? "" : "STATE", condition),
      padLeft(streams < 7 ? "" : "STREAMS", streams),
      pad(bar < 6 ? "MEM" : "MEMORY", bar),
      padLeft(size === 0 ? "" : "USED", size),
    ].join(" ").trimEnd(),
    "head",
  ),
]

/** The devices of each backend, by its id. */
const devicesByBackend = (devices: ReadonlyArray<DeviceState>): ReadonlyMap<string, ReadonlyArray<DeviceState>> => {
  const found = new Map<string, Array<DeviceState>>()
  for (const device of devices) {
    for (const id of device.backends) {
      const own = found.get(id)
      if (own === undefined) found.set(id, [device])
      else own.push(device)
    }
  }
  return found
}

/**
 * The backends in so many lines, those with a problem first.
 *
 * @category rendering
 * @since 0.1.0
 */
export const backendLines = ({ glyphs, state }: View, columns: number, rows: number): ReadonlyArray<Line> => {
  if (state.backends.length === 0) return [[span("There are no backends.", "warn")]]
  const widths = widthsFor(state.backends, columns)
  const byBackend = devicesByBackend(state.devices)
  const all = ordered(state.backends).map((one) => ({ one, devices: byBackend.get(one.id) ?? [] }))
  const place = rows - 1
  // Only lines that are shown are made: a fleet can have a thousand backends.
  if (all.reduce((sum, { devices }) => sum + Math.max(1, devices.length), 0) <= place) {
    return [titles(widths), ...all.flatMap(({ devices, one }) => lines(one, devices, widths, glyphs))]
  }
  const short = (count: number) => all.slice(0, count).map(({ devices, one }) => line(one, devices, widths, glyphs))
  if (all.length <= place) return [titles(widths), ...short(all.length)]
  const shown = Math.max(1, place - 1)
  const rest = Format.count(all.length - shown, "more backend")
  return [titles(widths), ...short(shown), [span(`${glyphs.cut} ${rest}`, "dim")]]
}
