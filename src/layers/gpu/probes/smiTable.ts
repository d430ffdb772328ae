/**
 * The table that `nvidia-smi --query-gpu` prints, and what it prints beside it.
 *
 * It is split at commas by hand, not by a CSV library: `nvidia-smi` never quotes a cell.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { type GpuReading, Unhealthy, unknown } from "../../../services/GpuProbe.ts"
import * as Reading from "./reading.ts"

/**
 * The columns that every driver prints.
 *
 * @category constants
 * @since 0.1.0
 */
export const base = [
  "index",
  "uuid",
  "name",
  "memory.total",
  "memory.used",
  "memory.free",
  "utilization.gpu",
  "temperature.gpu",
  "power.draw",
] as const

/** Columns that older drivers do not know, after the others. @category constants @since 0.1.0 */
export const newer = ["mig.mode.current", "compute_cap", "pci.bus_id"] as const

const columnsMin = base.length

const numeric = (cell: string | undefined): number | undefined =>
  cell !== undefined && /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : undefined

const mebibytes = (cell: string | undefined): number | undefined =>
  Option.getOrUndefined(Option.map(Option.fromUndefinedOr(numeric(cell)), (mib) => Math.round(mib * 1024 * 1024)))

/**
 * Words in place of a value that say that the GPU is broken. `[N/A]`, `[Not Supported]` and `[Insufficient
 * Permissions]` are also printed for GPUs that work.
 */
const isFault = (cell: string): boolean =>
  /gpu is lost|gpu requires reset|reset required|unknown error|^\[?err!?\]?$/i.test(cell)

const wordsOf = (cell: string): string => cell.replace(/^\[|\]$/g, "")

/** What is wrong with a GPU: its memory cannot be read, and a cell says why. */
const faultOf = (cells: ReadonlyArray<string>, memory: Reading.Memory): string | undefined => {
  const fault = cells.find(isFault)
  if (fault === undefined) return undefined
  // One sensor that fails does not make a GPU unhealthy.
  return Option.isSome(memory.free) && !/lost|reset/i.test(fault) ? undefined : wordsOf(fault)
}

/** A GPU in the output, and where it is. */
interface Row {
  readonly reading: GpuReading
  /** Its index, and its address on the bus, as far as they are known. */
  readonly places: ReadonlyArray<string>
}

const isId = (text: string | undefined): boolean => text !== undefined && /^(GPU|MIG)-/.test(text)

/** The address without the domain, which is printed with four digits or with eight. */
const placeOf = (text: string): string => text.slice(-12).toLowerCase()

const rowOf = (cells: ReadonlyArray<string>, fields: ReadonlyArray<string>): Row => {
  const cell = (field: string): string | undefined => cells[fields.indexOf(field)]
  const memory = cell("mig.mode.current") === "Enabled" ? Reading.noMemory : Reading.memory(
    mebibytes(cell("memory.total")),
    mebibytes(cell("memory.free")),
    mebibytes(cell("memory.used")),
  )
  const fault = faultOf(cells, memory)
  const [index = "", uuid = "", name = ""] = ["index", "uuid", "name"].map(cell)
  const reading: GpuReading = {
    // A GPU that is lost may not tell its id any more.
    ...unknown(isWord(uuid) ? `nvidia-smi-${index}` : uuid, isWord(name) ? `GPU ${index}` : name, "gpu"),
    ...(fault === undefined ? memory : Reading.noMemory),
    utilisation: Reading.percent(numeric(cell("utilization.gpu"))),
    temperature: Reading.celsius(numeric(cell("temperature.gpu"))),
    power: Reading.watts(numeric(cell("power.draw"))),
    health: fault === undefined ? Option.none() : Option.some(new Unhealthy({ reason: fault })),
    computeCapability: Option.fromUndefinedOr(numeric(cell("compute_cap"))),
  }
  const bus = address.exec(cell("pci.bus_id") ?? "")?.[0]
  return { reading, places: bus === undefined ? [index] : [placeOf(bus), index] }
}

const isWord = (cell: string): boolean => cell === "" || isFault(cell) || /^\[.*\]$/.test(cell)

/**
 * A GPU whose handle cannot be had is not in the table. There is a sentence in its place: `Unable to determine the
 * device handle for GPU 0000:41:00.0: GPU is lost.`, or `… for GPU1: 0000:41:00.0: Unknown Error`.
 */
const sentence = /^unable to determine the device handle for gpu\s*(.*?):\s+([a-z].*?)\.?(\s+reboot .*)?$/i

const address = /[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]/i

const missing = (line: string): Row | undefined => {
  const [, named, reason] = sentence.exec(line) ?? []
  if (named === undefined || reason === undefined) return undefined
  const bus = address.exec(named)?.[0]
  const place = bus ?? named
  const health = Option.some(new Unhealthy({ reason }))
  return {
    reading: { ...unknown(`pci-${place}`, `GPU ${place}`, "gpu"), health },
    places: [bus === undefined ? named : placeOf(bus)],
  }
}

/**
 * The GPUs that had an id in an earlier table, by where they are. A GPU that is lost is known by it.
 *
 * @category models
 * @since 0.1.0
 */
export type Known = Map<string, Pick<GpuReading, "uuid" | "name" | "computeCapability">>

/** A GPU without an id gets the one of the GPU that was there before, if no other row has it. */
const named = (rows: ReadonlyArray<Row>, known: Known): ReadonlyArray<GpuReading> => {
  const ids = new Set(rows.map(({ reading }) => reading.uuid))
  return rows.map(({ places, reading }) => {
    if (isId(reading.uuid)) return reading
    const before = places.map((place) => known.get(place)).find((found) => found !== undefined)
    return before === undefined || ids.has(before.uuid) ? reading : { ...reading, ...before }
  })
}

/**
 * The GPUs in the output: those in the table, and those of which only a sentence says that they cannot be read. A line
 * that is neither is left out. `fields` are those that were asked for. `known` is brought up to date.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (output: string, fields: ReadonlyArray<string>, known: Known): ReadonlyArray<GpuReading> => {
  const rows = new Map<string, Row>()
  for (const line of output.split("\n").map((text) => text.trim())) {
    const cells = line.split(",").map((text) => text.trim())
    const row = cells.length >= columnsMin ? rowOf(cells, fields) : missing(line)
    if (row !== undefined && !rows.has(row.reading.uuid)) rows.set(row.reading.uuid, row)
  }
  const found = Array.from(rows.values())
  const readings = named(found, known)
  for (const { places, reading: { computeCapability, name, uuid } } of found) {
    if (isId(uuid)) { for (const place of places) known.set(place, { uuid, name, computeCapability }) }
  }
  return readings
}

/**
 * The fields that the driver does not know; all of `newer` if it does not name one of them. `undefined` if it knows
 * every field.
 *
 * @category decoding
 * @since 0.1.0
 */
export const refused = (
  { stderr, stdout }: { readonly stdout: string; readonly stderr: string },
): ReadonlyArray<string> | undefined => {
  const said = stdout + stderr
  if (!/not a valid field/i.test(said)) return undefined
  const named = newer.filter((field) => said.includes(field))
  return named.length > 0 ? named : newer
}
