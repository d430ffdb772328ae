/**
 * Decides which models are unloaded so that a load finds room. Pure.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import type { Victim, VictimPicker } from "../../../services/Plugin.ts"
import type { AllocationState, Freeing, Share } from "../../../services/VramLedger.ts"

/** What matters of one model in memory when it may be unloaded. @category models @since 0.1.0 */
export interface ModelInMemory {
  readonly draining: boolean
  /** No request uses the model. */
  readonly idle: boolean
  readonly pinned: boolean
  /** Whether a load of the same weights is running or queued on the same backend. */
  readonly load: "running" | "queued" | "none"
  /** Milliseconds since a request last used the model or waited for it. */
  readonly restedMillis: number
}

/** A model in memory that may have to make room, on any backend. @category models @since 0.1.0 */
export interface ResidentCandidate extends ModelInMemory {
  /** What the victim picker is told, but for the bytes: those depend on the devices where memory is wanted. */
  readonly victim: Omit<Victim, "bytes">
  /** The memory that is charged for the model. */
  readonly shares: ReadonlyArray<Share>
}

/** An allocation of the ledger as plain data. @category models @since 0.1.0 */
export interface Charged {
  readonly state: AllocationState
  readonly shares: ReadonlyArray<Share>
}

/** How victims are chosen. @category models @since 0.1.0 */
export interface Rules {
  readonly picker: VictimPicker
  /** A model that was used or waited for more recently is expected to be used again at once, so is not unloaded. */
  readonly idleMillis: number
  /** A load that has waited this long may drain models that are busy. */
  readonly patienceMillis: number
}

/** @category models @since 0.1.0 */
export interface Question {
  /** The ways to make room, as the ledger states them. */
  readonly freeing: ReadonlyArray<Freeing>
  readonly candidates: ReadonlyArray<ResidentCandidate>
  readonly allocations: ReadonlyArray<Charged>
  readonly rules: Rules
  readonly now: number
  /** Whether the load has waited for `patienceMillis`. */
  readonly impatient: boolean
}

/** @category models @since 0.1.0 */
export interface Room {
  /**
   * The models to drain; `under way` when enough memory is already being freed; `none` when no model may be
   * unloaded now.
   */
  readonly leave: ReadonlyArray<ResidentCandidate> | "under way" | "none"
  /** What the victim picker has thrown. Each throw counts as "no victims". */
  readonly thrown: ReadonlyArray<unknown>
}

const bytesOn = (shares: ReadonlyArray<Share>, devices: ReadonlyArray<string>): number => {
  let sum = 0
  for (const { bytes, device } of shares) if (devices.includes(device)) sum += bytes
  return sum
}

const isLeaving = ({ state }: Charged): boolean => state === "draining" || state === "releasing"

/** The answer of the picker if it names known candidates that free enough, else nothing. */
const pick = (
  candidates: ReadonlyArray<ResidentCandidate>,
  devices: ReadonlyArray<string>,
  wanted: number,
  { now, rules }: Question,
  thrown: Array<unknown>,
): ReadonlyArray<ResidentCandidate> => {
  if (candidates.length === 0) return []
  const victims = candidates.map(({ shares, victim }): Victim => ({ ...victim, bytes: bytesOn(shares, devices) }))
  const answer = Result.try(() => new Set(rules.picker.pick(victims, wanted, now)))
  if (Result.isFailure(answer)) {
    thrown.push(answer.failure)
    return []
  }
  const indices = Array.from(answer.success)
  const sum = indices.reduce((bytes, index) => bytes + (victims[index]?.bytes ?? NaN), 0)
  return sum >= wanted ? indices.map((index) => candidates[index]!) : []
}

/** @category decisions @since 0.1.0 */
export const makeRoom = (question: Question): Room => {
  const { allocations, candidates, freeing, impatient, rules } = question
  const thrown: Array<unknown> = []
  for (const { bytes, devices } of freeing) {
    const charged = (one: Charged): number => bytesOn(one.shares, devices)
    // Memory that is being released is still charged and not yet free in a reading, so more bytes seem to be missing
    // than really are. No model may be unloaded because of that.
    if (allocations.some((one) => one.state === "releasing" && charged(one) > 0)) return { leave: "under way", thrown }
    const wanted = bytes - allocations.reduce((sum, one) => sum + (isLeaving(one) ? charged(one) : 0), 0)
    if (wanted <= 0) return { leave: "under way", thrown }
    const evictable = candidates.filter(({ draining, load, pinned, shares }) =>
      !pinned && load !== "running" && !draining && bytesOn(shares, devices) > 0
    )
    const unused = evictable.filter(({ idle, restedMillis }) => idle && (impatient || restedMillis >= rules.idleMillis))
    const chosen = pick(unused, devices, wanted, question, thrown)
    if (chosen.length > 0) return { leave: chosen, thrown }
    if (!impatient) continue
    const busyToo = pick(evictable, devices, wanted, question, thrown)
    if (busyToo.length > 0) return { leave: busyToo, thrown }
  }
  return { leave: "none", thrown }
}
