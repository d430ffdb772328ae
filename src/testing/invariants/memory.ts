import type { Checker } from "./watch.ts"

/**
 * Invariant 1: at every reservation, on every device that it touches, allocations add up to no more than the capacity
 * that the ledger states. That capacity is known, and is at most the whole device less the reserve.
 *
 * **Details**
 *
 * That the capacity follows the readings is not checked here; the histories of memory check it with books of their own.
 * Exercised by reservations, and by refusals because devices were full.
 */
export const memory = (options: { readonly reserve: number }): Checker => {
  const totals = new Map<string, number>()
  let reservations = 0
  let refusals = 0
  return {
    invariant: 1,
    name: "memory",
    exercised: () => ({ "reservations on managed devices": reservations, "refusals on full devices": refusals }),
    on: {
      read: ({ device, total }) => void totals.set(device, total),
      noRoom: ({ full }) => void (full && refusals++),
      reserved: ({ allocations, devices }) => {
        if (devices.length > 0) reservations++
        for (const { capacity, device } of devices) {
          let sum = 0
          for (const one of allocations) {
            for (const share of one.shares()) if (share.device === device) sum += share.bytes
          }
          if (capacity === undefined || sum > capacity + 1) {
            return `${sum} bytes are allocated on ${device}, whose capacity is ${capacity ?? "not known"}`
          }
          const left = (totals.get(device) ?? 0) - options.reserve
          if (sum > left + 1) return `${sum} bytes are allocated on ${device}, which has ${left} beside the reserve`
        }
      },
    },
  }
}
