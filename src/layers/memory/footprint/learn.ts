/**
 * Footprints corrected by what loads really took.
 *
 * @since 0.1.0
 */
import type { Footprint, Observation, RunShape } from "../../../services/Footprint.ts"

/**
 * What has to be equal for one observation to say something about another load. Before Ollama 0.30 `size_vram` meant something else, and every version may
 * allocate differently.
 *
 * @category models
 * @since 0.1.0
 */
export interface LessonKey {
  readonly host: string
  /** Of Ollama; `undefined` while not known. */
  readonly version: string | undefined
  readonly digest: string
  /** Tokens of one sequence, as it was loaded. */
  readonly shape: RunShape
  /** UUIDs of the GPUs. */
  readonly gpus: ReadonlyArray<string>
}

interface Seen {
  readonly bytes: number
  /** May lower a footprint, not only raise it. */
  readonly trusted: boolean
}

/**
 * What has been seen, by key. A value: learning returns another.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lessons {
  readonly seen: ReadonlyMap<string, ReadonlyArray<Seen>>
}

/** @category constructors @since 0.1.0 */
export const empty: Lessons = { seen: new Map() }

/** Observations kept of each kind, and keys kept at all; the oldest go first. */
const seenMax = 5
const keysMax = 4096

/** Two loads of the same model differ by alignment, and by what fragments. */
const spread = 0.02

/** Until a driver has shown what the process takes besides Ollama's buffers. */
const overheadBytes = 512 * 1024 * 1024

const textOf = ({ digest, gpus, host, shape, version }: LessonKey): string =>
  JSON.stringify([
    host,
    version ?? "",
    digest,
    shape.context,
    shape.parallelism,
    shape.batch ?? 0,
    shape.flashAttention,
    shape.kvType,
    shape.unified,
    shape.devices,
    gpus.toSorted(),
  ])

/** Since 0.30 Ollama reports buffers that llama.cpp logged, before that its own estimate. */
const reportsBuffers = (version: string | undefined): boolean => {
  const parts = /^v?(\d+)\.(\d+)/.exec(version ?? "")
  return parts !== null && (Number(parts[1]) > 0 || Number(parts[2]) >= 30)
}

const isBytes = (value: number): boolean => Number.isFinite(value) && value >= 0

/**
 * Bytes a load took: Ollama's buffers and the overhead, or what the drivers' free memory fell by, whichever is more. `undefined` for numbers that are none.
 *
 * **Details**
 *
 * Not trusted to lower a footprint: a model that spilled to the CPU (it would have taken other buffers on the GPU), Ollama's fallback of the bare file size,
 * versions that report an estimate, unless the driver saw at least as much.
 *
 * @category constructors
 * @since 0.1.0
 */
export const observed = (
  key: LessonKey,
  { freeDrop, size, sizeVram }: Observation,
  fileBytes: number,
): Seen | undefined => {
  const all = Math.max(size, sizeVram)
  if (!isBytes(size) || !isBytes(sizeVram) || all === 0) return undefined
  const drop = freeDrop !== undefined && isBytes(freeDrop) ? freeDrop : 0
  const spilled = key.shape.devices > 0 && sizeVram < size
  const plausible = reportsBuffers(key.version) && all !== fileBytes
  return {
    bytes: Math.max(all + overheadBytes * Math.max(1, key.shape.devices), drop),
    trusted: !spilled && (plausible || drop >= all),
  }
}

const most = (seen: ReadonlyArray<Seen>): number => seen.reduce((max, { bytes }) => Math.max(max, bytes), 0)

/**
 * The footprint as corrected: the most of the last five observations and 2 %, so never below what was seen. Until one is trusted, the estimate, raised to what
 * was seen where that is more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const corrected = (
  lessons: Lessons,
  key: LessonKey,
  estimated: Footprint | undefined,
): Footprint | undefined => {
  const seen = lessons.seen.get(textOf(key)) ?? []
  const total = most(seen)
  const margin = Math.ceil(total * spread)
  const reserve = total + margin
  const trusted = seen.some((each) => each.trusted)
  if (seen.length === 0 || (!trusted && (estimated === undefined || estimated.reserve >= reserve))) return estimated
  return { parts: estimated?.parts, total, margin, reserve, source: "learned" }
}

/**
 * Takes in one observation. The last five of each kind are kept, so that a run of spills does not push out what is known.
 *
 * @category combinators
 * @since 0.1.0
 */
export const learn = (lessons: Lessons, key: LessonKey, seen: Seen): Lessons => {
  const id = textOf(key)
  const before = lessons.seen.get(id) ?? []
  const same = [...before.filter(({ trusted }) => trusted === seen.trusted), seen].slice(-seenMax)
  const after = new Map(lessons.seen)
  after.delete(id)
  after.set(id, [...before.filter(({ trusted }) => trusted !== seen.trusted), ...same])
  for (const oldest of after.keys()) {
    if (after.size <= keysMax) break
    after.delete(oldest)
  }
  return { seen: after }
}
