/**
 * Corrects footprints by the memory that loads really took.
 *
 * @since 0.1.0
 */
import type { Footprint, Observation, RunShape } from "../../../services/Footprint.ts"
import { overheadBytes } from "./estimate.ts"
import { runsLlamaServer } from "./versions.ts"

/**
 * An observation is used for another load only if all of these are equal. Every version of Ollama may allocate
 * differently, and before 0.30 `size_vram` had another meaning.
 *
 * @category models
 * @since 0.1.0
 */
export interface LessonKey {
  readonly host: string
  /** Version of Ollama; `undefined` while it is not known. */
  readonly version: string | undefined
  readonly digest: string
  /** How the model was loaded. */
  readonly shape: RunShape
  /** UUIDs of the GPUs. */
  readonly gpus: ReadonlyArray<string>
}

/** One observation of a load. */
interface Seen {
  readonly bytes: number
  /** Whether it may lower a footprint, and not only raise it. */
  readonly trusted: boolean
}

/**
 * The observations by key. An immutable value: `learn` returns a new one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lessons {
  readonly seen: ReadonlyMap<string, ReadonlyArray<Seen>>
}

/** @category constructors @since 0.1.0 */
export const empty: Lessons = { seen: new Map() }

/** The most observations of each kind for a key, and the most keys. The oldest ones are dropped. */
const seenMax = 5
const keysMax = 4096

/** Added to the largest observation: the next load may be a little larger. */
const spread = 0.02

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

/**
 * Whether `/api/ps` showed the buffers that llama.cpp logged. Versions before 0.30 showed their own estimate. Ollama
 * shows the size of the file if it knows nothing better.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isMeasured = ({ version }: LessonKey, { size, sizeVram }: Observation, fileBytes: number): boolean =>
  runsLlamaServer(version) === true && Math.max(size, sizeVram) !== fileBytes

const isBytes = (value: number): boolean => Number.isFinite(value) && value >= 0

/**
 * The bytes that a load took: Ollama's buffers and the overhead, or the fall of the devices' free memory if that is
 * more. `undefined` if the numbers are not sizes.
 *
 * **Details**
 *
 * These observations may not lower a footprint: a model that spilled into system memory, because it would have other
 * buffers on the GPU; a size that is just the size of the file, which Ollama reports if it knows nothing better; and
 * a version that reports an estimate. The last two may if the free memory of the devices fell by at least as much.
 *
 * @category constructors
 * @since 0.1.0
 */
export const observed = (
  key: LessonKey,
  observation: Observation,
  fileBytes: number,
): Seen | undefined => {
  const { freeDrop, size, sizeVram } = observation
  const all = Math.max(size, sizeVram)
  if (!isBytes(size) || !isBytes(sizeVram) || all === 0) return undefined
  const drop = freeDrop !== undefined && isBytes(freeDrop) ? freeDrop : 0
  const spilled = key.shape.devices > 0 && sizeVram < size
  return {
    bytes: Math.max(all + overheadBytes * Math.max(1, key.shape.devices), drop),
    trusted: !spilled && (isMeasured(key, observation, fileBytes) || drop >= all),
  }
}

const largest = (seen: ReadonlyArray<Seen>): number => seen.reduce((max, { bytes }) => Math.max(max, bytes), 0)

/**
 * The corrected footprint: the largest of the last five observations plus 2 %, so never below an observation. Until
 * one of them is trusted: the estimate, or the largest observation if that is more.
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
  const total = largest(seen)
  const margin = Math.ceil(total * spread)
  const reserve = total + margin
  const trusted = seen.some((each) => each.trusted)
  if (seen.length === 0 || (!trusted && (estimated === undefined || estimated.reserve >= reserve))) return estimated
  return { parts: estimated?.parts, total, margin, reserve, source: "learned" }
}

/**
 * Adds an observation. The last five of each kind are kept, so that several spills in a row do not push out the
 * trusted ones.
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
