import type { Checker } from "./sights.ts"

/** Invariant 1: at every commit, on every device, allocations add up to no more than there is, less what others hold and the reserve. */
export const memory = (options: { readonly reserve: number }): Checker => {
  const readings = new Map<string, { readonly total: number; readonly foreign: number }>()
  return {
    invariant: 1,
    name: "memory",
    see: {
      read: (reading) => void readings.set(reading.device, reading),
      reserved: ({ allocations, devices }) => {
        for (const { capacity, device } of devices) {
          let sum = 0
          for (const one of allocations) {
            for (const share of one.shares()) if (share.device === device) sum += share.bytes
          }
          if (capacity === undefined || sum > capacity + 1) {
            return `${sum} bytes on ${device}, whose capacity is ${capacity}`
          }
          const seen = readings.get(device)
          if (seen === undefined) return `${sum} bytes on ${device}, which nobody has read`
          const left = seen.total - seen.foreign - options.reserve
          if (sum > left + 1) return `${sum} bytes on ${device}, where others leave ${left}`
        }
      },
    },
  }
}
