/**
 * Where a model fits: the device with the least room that suffices, several only if no single one would do.
 *
 * @since 0.1.0
 */
import type { Freeing, NoRoom, Share } from "../../services/VramLedger.ts"
import type { DeviceBook } from "./deviceBook.ts"

/** @category models @since 0.1.0 */
export type Fit = { readonly _tag: "Fits"; readonly shares: ReadonlyArray<Share> } | NoRoom

const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`

/** Divided by room, all or none. */
const spread = (devices: ReadonlyArray<DeviceBook>, needed: number, whole: number): ReadonlyArray<Share> => {
  let left = needed
  return devices.map(({ room, uuid }, index) => {
    const bytes = index === devices.length - 1 ? left : Math.min(left, Math.floor(needed * (room ?? 0) / whole))
    left -= bytes
    return { device: uuid, bytes }
  })
}

/**
 * Where `need(devices)` bytes fit. A device on which a load has not ended takes no second one: two models may not believe in the same free memory.
 *
 * @category models
 * @since 0.1.0
 */
export const fit = (devices: ReadonlyArray<DeviceBook>, need: (devices: number) => number): Fit => {
  const one = need(1)
  const roomy = devices.filter(({ room }) => (room ?? 0) >= one).toSorted((a, b) => a.room! - b.room!)
  const best = roomy.find(({ loads }) => !loads)
  if (best !== undefined) return { _tag: "Fits", shares: [{ device: best.uuid, bytes: one }] }
  if (roomy.length > 0) return noRoom("another model is loading there", [], false)
  const alone = devices.filter(({ limit }) => (limit ?? 0) >= one)
  const freeing: Array<Freeing> = alone.filter(({ loads }) => !loads)
    .map(({ room, uuid }) => ({ devices: [uuid], bytes: one - (room ?? 0) }))
  const all = devices.length > 1 ? need(devices.length) : Infinity
  const limits = devices.reduce((sum, { limit }) => sum + Math.max(0, limit ?? 0), 0)
  if (alone.length === 0 && devices.length > 1 && limits >= all) {
    const whole = devices.reduce((sum, { room }) => sum + Math.max(0, room ?? 0), 0)
    const loads = devices.some((device) => device.loads)
    const level = devices.every(({ room }) => (room ?? 0) > 0)
    if (whole >= all && level && !loads) return { _tag: "Fits", shares: spread(devices, all, whole) }
    if (!loads) freeing.push({ devices: devices.map(({ uuid }) => uuid), bytes: Math.max(1, all - whole) })
  }
  const never = alone.length === 0 && limits < all
  const most = devices.reduce((max, { limit }) => Math.max(max, limit ?? 0), 0)
  return noRoom(
    never
      ? `it needs ${gib(one)} and the most there ever is are ${gib(most)}`
      : `it needs ${gib(one)} and there is less`,
    freeing.toSorted((a, b) => a.bytes - b.bytes),
    never,
  )
}

const noRoom = (reason: string, freeing: ReadonlyArray<Freeing>, never: boolean): NoRoom => ({
  _tag: "NoRoom",
  reason,
  freeing,
  never,
})
