/**
 * Decides on which devices of a backend a model fits: on the one with the most room, as Ollama chooses, and on
 * several only if no single one is large enough.
 *
 * @since 0.1.0
 */
import type { Freeing, NoRoom, Share } from "../../../services/VramLedger.ts"
import type { DeviceAccount } from "./deviceAccount.ts"

/** The shares on the devices, or why there is no room. @category models @since 0.1.0 */
export type Fit = { readonly _tag: "Fits"; readonly shares: ReadonlyArray<Share> } | NoRoom

const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`

/** Divides the bytes among all devices in proportion to their room. */
const divided = (devices: ReadonlyArray<DeviceAccount>, needed: number, whole: number): ReadonlyArray<Share> => {
  let left = needed
  return devices.map(({ room, uuid }, index) => {
    const bytes = index === devices.length - 1 ? left : Math.min(left, Math.floor(needed * (room ?? 0) / whole))
    left -= bytes
    return { device: uuid, bytes }
  })
}

/** A load has to wait for another one. @category constants @since 0.1.0 */
export const waiting: NoRoom = {
  _tag: "NoRoom",
  reason: "another load on these devices has not ended, or no reading shows it yet",
  freeing: [],
  never: false,
}

/** Whether `need(devices)` bytes fit into the empty devices. @category predicates @since 0.1.0 */
export const fitsEmpty = (devices: ReadonlyArray<DeviceAccount>, need: (devices: number) => number): boolean => {
  const most = devices.reduce((sum, { limit }) => Math.max(sum, limit ?? 0), 0)
  const limits = devices.reduce((sum, { limit }) => sum + Math.max(0, limit ?? 0), 0)
  return need(1) <= most || (devices.length > 1 && need(devices.length) <= limits)
}

const unsettled = (devices: ReadonlyArray<DeviceAccount>): NoRoom | undefined =>
  devices.some((device) => device.unsettled) ? waiting : undefined

/**
 * All memory of the devices, for a model that does not fit: Ollama fills them, and puts the other layers into system
 * memory. Nothing else may be charged there at its start.
 *
 * @category models
 * @since 0.1.0
 */
export const whole = (devices: ReadonlyArray<DeviceAccount>): Fit => {
  const waits = unsettled(devices)
  if (waits !== undefined) return waits
  const held = devices.reduce((sum, account) => sum + account.held, 0)
  if (held > 0) {
    const freeing = [{ devices: devices.map(({ uuid }) => uuid), bytes: held }]
    return noRoom("it needs all memory of its devices", freeing, false)
  }
  const shares = devices.map(({ room, uuid }) => ({ device: uuid, bytes: Math.max(0, Math.floor(room ?? 0)) }))
  return shares.some(({ bytes }) => bytes > 0)
    ? { _tag: "Fits", shares }
    : noRoom("other processes use its devices", [], false)
}

/**
 * Finds room for `need(devices)` bytes. While a load on one of the devices has not ended, none of them takes another
 * load: both loads would count on the same free memory, and Ollama may put either model on any of the devices.
 *
 * @category models
 * @since 0.1.0
 */
export const fit = (devices: ReadonlyArray<DeviceAccount>, need: (devices: number) => number): Fit => {
  const one = need(1)
  const most = devices.reduce((sum, { limit }) => Math.max(sum, limit ?? 0), 0)
  const all = devices.length > 1 ? need(devices.length) : Infinity
  if (!fitsEmpty(devices, need)) {
    return noRoom(`it needs ${gib(one)}, and an empty device has at most ${gib(most)}`, [], true)
  }
  const waits = unsettled(devices)
  if (waits !== undefined) return waits
  const best = devices.reduce((roomiest, each) => (each.room ?? 0) > (roomiest.room ?? 0) ? each : roomiest)
  if ((best.room ?? 0) >= one) {
    return { _tag: "Fits", shares: devices.map(({ uuid }) => ({ device: uuid, bytes: uuid === best.uuid ? one : 0 })) }
  }
  if (one > most) {
    const room = devices.reduce((sum, device) => sum + Math.max(0, device.room ?? 0), 0)
    const level = devices.every((device) => (device.room ?? 0) > 0)
    if (room >= all && level) return { _tag: "Fits", shares: divided(devices, all, room) }
    const uuids = devices.map(({ uuid }) => uuid)
    return noRoom(
      `it needs ${gib(all)}, and less is free`,
      [{ devices: uuids, bytes: Math.max(1, all - room) }],
      false,
    )
  }
  const alone = devices.filter(({ limit }) => (limit ?? 0) >= one)
  const freeing = alone.map(({ room, uuid }) => ({ devices: [uuid], bytes: one - (room ?? 0) }))
  return noRoom(`it needs ${gib(one)}, and less is free`, freeing.toSorted((x, y) => x.bytes - y.bytes), false)
}

const noRoom = (reason: string, freeing: ReadonlyArray<Freeing>, never: boolean): NoRoom => ({
  _tag: "NoRoom",
  reason,
  freeing,
  never,
})
