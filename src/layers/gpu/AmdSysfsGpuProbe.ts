/**
 * AMD GPUs as the Linux kernel's driver (amdgpu) shows them in sysfs: needs no library, no tool and no privilege.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer } from "effect"
import { GpuProbe, GpuProbeError, type GpuReading, type GpuReadings, NotSupported } from "../../services/GpuProbe.ts"
import * as AmdCard from "./probes/amdCard.ts"
import * as SharedRead from "./probes/sharedRead.ts"

const source = "amd-sysfs"

const make = Effect.fnUntraced(function* (root: string) {
  const files = yield* FileSystem.FileSystem
  const once = Effect.gen(function* () {
    const cards = (yield* AmdCard.list(`${root}/sys/class/drm`)).filter((name) => /^card\d+$/.test(name))
    const devices: Array<GpuReading> = []
    for (const card of cards.sort()) {
      const device = `${root}/sys/class/drm/${card}/device`
      if (yield* AmdCard.isCard(device)) devices.push(yield* AmdCard.read(device, root))
    }
    if (devices.length === 0) return yield* new GpuProbeError({ source, reason: none })
    return { source, passedOver: [], devices } satisfies GpuReadings
  }).pipe(Effect.provideService(FileSystem.FileSystem, files))

  const read = yield* SharedRead.make(source, Duration.seconds(2), once)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Reads `/sys/class/drm/card*`.
 *
 * **Details**
 *
 * For an APU, total is its own memory plus the system memory that it may map (GTT); free is never more than the system
 * has available. A card whose memory cannot be read is unhealthy; the others are read as usual.
 *
 * **Gotchas**
 *
 * sysfs does not say which processes hold the memory, nor that a device works: `processes` is none, and so is `health`,
 * unless the memory cannot be read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Folder that contains `/proc` and `/sys`. Defaults to `""`, the real root. */
  readonly root?: string | undefined
}): Layer.Layer<GpuProbe, never, FileSystem.FileSystem> => Layer.effect(GpuProbe, make(options?.root ?? ""))

const none = new NotSupported({ description: "no card with an AMD driver in /sys/class/drm" })
