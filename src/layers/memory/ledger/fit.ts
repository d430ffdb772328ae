/**
 * Where a model fits: of the devices of a backend the one with the most room, as Ollama chooses; several only if no single one would do.
 *
 * @since 0.1.0
 */
import type { Freeing, NoRoom, Share } from "../../../services/VramLedger.ts"
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
 * Where `need(devices)` bytes fit. While a load has not ended on one of the devices none takes a second one: two models may not believe in the
 * same free memory, and Ollama may put either on any of them.
 *
 * @category models
 * @since 0.1.0
 */
export const fit = (devices: ReadonlyArray<DeviceBook>, need: (devices: number) => number): Fit => {
  const one = need(1)
  const most = devices.reduce((sum, { limit }) => Math.max(sum, limit ?? 0), 0)
  const limits = devices.reduce((sum, { limit }) => sum + Math.max(0, limit ?? 0), 0)
  const all = devices.length > 1 ? need(devices.length) : Infinity
  if (one > most && all > limits) {
    return noRoom(`it needs ${gib(one)} and the most there ever is are ${gib(most)}`, [], true)
  }
  if (devices.some(({ unsettled }) => unsettled)) {
    return noRoom("a load there is not over, or not in a reading", [], false)
  }
  const best = devices.reduce((roomiest, each) => (each.room ?? 0) > (roomiest.room ?? 0) ? each : roomiest)
  if ((best.room ?? 0) >= one) {
    return { _tag: "Fits", shares: devices.map(({ uuid }) => ({ device: uuid, bytes: uuid === best.uuid ? one : 0 })) }
  }
  if (one > most) {
    const whole = devices.reduce((sum, { room }) => sum + Math.max(0, room ?? 0), 0)
    const level = devices.every(({ room }) => (room ?? 0) > 0)
    if (whole >= all && level) return { _tag: "Fits", shares: spread(devices, all, whole) }
    const uuids = devices.map(({ uuid }) => uuid)
    return noRoom(
      `it needs ${gib(all)} and there is less`,
      [{ devices: uuids, bytes: Math.max(1, all - whole) }],
      false,
    )
  }
  const alone = devices.filter(({ limit }) => (limit ?? 0) >= one)
  const freeing = alone.map(({ room, uuid }) => ({ devices: [uuid], bytes: one - (room ?? 0) }))
  return noRoom(`it needs ${gib(one)} and there is less`, freeing.toSorted((x, y) => x.bytes - y.bytes), false)
}

const noRoom = (reason: string, freeing: ReadonlyArray<Freeing>, never: boolean): NoRoom => ({
  _tag: "NoRoom",
  reason,
  freeing,
  never,
})
