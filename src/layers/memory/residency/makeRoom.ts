/**
 * Who has to leave so that a load finds room.
 *
 * @since 0.1.0
 */
import type { Victim, VictimPicker } from "../../../services/Plugin.ts"
import type { Allocation, Freeing } from "../../../services/VramLedger.ts"
import type { Entry } from "./entry.ts"
import type { ResidentModels } from "./residentModels.ts"

/** A model that may have to leave, and where it is. @category models @since 0.1.0 */
export interface Tenant {
  readonly models: ResidentModels
  readonly entry: Entry
  readonly pinned: boolean
  readonly loading: boolean
  readonly loadMillis: number
}

/** @category models @since 0.1.0 */
export interface Question {
  readonly freeing: ReadonlyArray<Freeing>
  readonly tenants: ReadonlyArray<Tenant>
  readonly allocations: ReadonlyArray<Allocation>
  readonly picker: VictimPicker
  readonly now: number
  /** Whether the load has waited so long that what is busy may be told to go, too. */
  readonly impatient: boolean
  /** A model used or waited for less long ago is about to be used again. */
  readonly idleMillis: number
}

const bytesOn = (allocation: Allocation | undefined, devices: ReadonlyArray<string>): number => {
  let sum = 0
  for (const { bytes, device } of allocation?.shares() ?? []) if (devices.includes(device)) sum += bytes
  return sum
}

/** On its way out already. */
const leaving = (allocation: Allocation): boolean =>
  allocation.state() === "draining" || allocation.state() === "releasing"

const victimOf = ({ entry, loadMillis, models }: Tenant, devices: ReadonlyArray<string>, now: number): Victim => {
  const usage = models.usage.get(entry.key)
  return {
    backend: models.backend,
    model: entry.key,
    bytes: bytesOn(entry.allocation, devices),
    loadMillis,
    lastUsedAt: usage?.lastAt ?? entry.loadedAt,
    loadedAt: entry.loadedAt,
    rate: usage?.rate(now) ?? 0,
    keepAliveMillis: entry.expiresAt === undefined ? undefined : entry.expiresAt - now,
    blob: models.blobOf(entry.key),
  }
}

/** What the picker says, if it makes sense: known candidates that free enough. */
const pick = (
  tenants: ReadonlyArray<Tenant>,
  { devices }: Freeing,
  wanted: number,
  { now, picker }: Question,
): ReadonlyArray<Tenant> => {
  if (tenants.length === 0) return []
  const victims = tenants.map((tenant) => victimOf(tenant, devices, now))
  const indices = new Set(picker.pick(victims, wanted, now))
  const sum = Array.from(indices).reduce((bytes, index) => bytes + (victims[index]?.bytes ?? NaN), 0)
  return sum >= wanted ? Array.from(indices, (index) => tenants[index]!) : []
}

/**
 * The tenants to drain; `under way` when enough is leaving already; `none` when nobody may leave now.
 *
 * @category decisions
 * @since 0.1.0
 */
export const makeRoom = (question: Question): ReadonlyArray<Tenant> | "under way" | "none" => {
  const { allocations, freeing, idleMillis, impatient, now, tenants } = question
  for (const option of freeing) {
    // What is on its way back is charged and not yet read as free: until it is, more seems to be missing than is, and nobody may leave for that.
    if (allocations.some((one) => one.state() === "releasing" && bytesOn(one, option.devices) > 0)) return "under way"
    const coming = allocations.reduce((sum, one) => sum + (leaving(one) ? bytesOn(one, option.devices) : 0), 0)
    const wanted = option.bytes - coming
    if (wanted <= 0) return "under way"
    const there = tenants.filter(({ entry, loading, pinned }) =>
      !pinned && !loading && !entry.draining && bytesOn(entry.allocation, option.devices) > 0
    )
    const rested = there.filter(({ entry, models }) =>
      models.idle(entry) && (impatient || models.restedMillis(entry, now) >= idleMillis)
    )
    const chosen = pick(rested, option, wanted, question)
    if (chosen.length > 0) return chosen
    if (!impatient) continue
    const anyone = pick(there, option, wanted, question)
    if (anyone.length > 0) return anyone
  }
  return "none"
}
