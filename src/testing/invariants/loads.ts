import type { Checker, There } from "./sights.ts"

/** Invariant 8: one load of a model on a backend at a time, and one on a device. */
export const loads = (): Checker => {
  const under = new Map<There, ReadonlyArray<string>>()
  return {
    invariant: 8,
    name: "loads",
    see: {
      loading: (load) => {
        let wrong: string | undefined
        for (const [other, devices] of under) {
          if (other.backend === load.backend) {
            wrong ??= `${load.model} is loaded on ${load.backend} while ${other.model} is`
          }
          const shared = devices.find((device) => load.devices.includes(device))
          if (shared !== undefined) wrong ??= `${load.model} and ${other.model} are loaded on ${shared} at once`
        }
        under.set(load, load.devices)
        return wrong
      },
      loaded: (load) => void under.delete(load),
    },
  }
}
