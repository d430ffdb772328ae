import type { Checker } from "./sights.ts"

/**
 * Invariant 1: at every commit, on every device it touches, allocations add up to no more than the ledger's capacity, which is known, and never to more than
 * the whole device less the reserve. That capacity follows readings is for the histories of memory to check, which keep books of their own.
 */
export const memory = (options: { readonly reserve: number }): Checker => {
  const totals = new Map<string, number>()
  return {
    invariant: 1,
    name: "memory",
    see: {
      read: ({ device, total }) => void totals.set(device, total),
      reserved: ({ allocations, devices }) => {
        for (const { capacity, device } of devices) {
          let sum = 0
          for (const one of allocations) {
            for (const share of one.shares()) if (share.device === device) sum += share.bytes
          }
          if (capacity === undefined || sum > capacity + 1) {
            return `${sum} bytes on ${device}, whose capacity is ${capacity}`
          }
          const left = (totals.get(device) ?? 0) - options.reserve
          if (sum > left + 1) return `${sum} bytes on ${device}, which has ${left} beside the reserve`
        }
      },
    },
  }
}
