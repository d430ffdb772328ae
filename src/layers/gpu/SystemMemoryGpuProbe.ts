/**
 * The system's memory as a device, for backends that run models on the CPU.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer, Option } from "effect"
import { GpuProbe, GpuProbeError, type GpuReadings, NotSupported, unknown } from "../../services/GpuProbe.ts"
import * as SharedRead from "./probes/sharedRead.ts"
import * as SystemMemory from "./probes/systemMemory.ts"

const source = "system-memory"

/**
 * Reads `/proc/meminfo` and the files of the control groups.
 *
 * **Details**
 *
 * Free is `MemAvailable`, unless a control group leaves less: this process's own group or any group above it, version 1
 * or 2. A group leaves its limit minus its usage, where page cache that the kernel would give back does not count as
 * usage. Where one of these bounds exists and cannot be read, free is unknown.
 *
 * **Gotchas**
 *
 * It is the memory that *this* process may take. For an Ollama in another container, run an agent there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Folder that contains `/proc` and `/sys`. Defaults to `""`, the real root. */
  readonly root?: string | undefined
}): Layer.Layer<GpuProbe, never, FileSystem.FileSystem> =>
  Layer.effect(
    GpuProbe,
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const once = Effect.provideService(SystemMemory.read(options?.root ?? ""), FileSystem.FileSystem, files).pipe(
        Effect.flatMap(Option.match({
          onNone: () => Effect.fail(new GpuProbeError({ source, reason: noProc })),
          onSome: (memory): Effect.Effect<GpuReadings> =>
            Effect.succeed({
              source,
              passedOver: [],
              devices: [{ ...unknown("system", "System memory", "system"), ...memory }],
            }),
        })),
      )
      const read = yield* SharedRead.make(source, Duration.seconds(2), once)
      return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
    }),
  )

const noProc = new NotSupported({ description: "no /proc/meminfo: this is not Linux, or /proc is not mounted" })
