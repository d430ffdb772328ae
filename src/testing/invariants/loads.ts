import type { ModelOnBackend } from "./observations.ts"
import type { Checker } from "./watch.ts"

/**
 * Invariant 8: at most one load at a time on a backend, and at most one on a device.
 *
 * **Details**
 *
 * Exercised by loads, and by loads that were asked for while another load ran on the same backend or device.
 */
export const loads = (): Checker => {
  const running = new Map<ModelOnBackend, ReadonlyArray<string>>()
  const counts = { all: 0, contended: 0 }
  return {
    invariant: 8,
    name: "loads",
    exercised: () => ({ "loads": counts.all, "loads that had to wait for another": counts.contended }),
    on: {
      wanted: ({ backend, devices, model }) => {
        for (const [other, shared] of running) {
          if (other.model === model && other.backend === backend) return
          if (other.backend === backend || shared.some((device) => devices.includes(device))) {
            return void counts.contended++
          }
        }
      },
      loading: (load) => {
        counts.all++
        let wrong: string | undefined
        for (const [other, devices] of running) {
          if (other.backend === load.backend) {
            wrong ??= `${load.model} is loaded on ${load.backend} while ${other.model} is`
          }
          const shared = devices.find((device) => load.devices.includes(device))
          if (shared !== undefined) wrong ??= `${load.model} and ${other.model} are loaded on ${shared} at once`
        }
        running.set(load, load.devices)
        return wrong
      },
      loaded: (load) => void running.delete(load),
    },
  }
}
