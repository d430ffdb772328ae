/**
 * Devices made up by a test.
 *
 * @since 0.1.0
 */
import { ByteSize, Context, Effect, Layer, Option } from "effect"
import {
  GpuProbe,
  GpuProbeError,
  type GpuProbeReason,
  type GpuReading,
  type GpuReadings,
  Healthy,
  unknown,
} from "../../services/GpuProbe.ts"

/** What one read does: the devices it finds, or the reason it fails for. @category models @since 0.1.0 */
export type Step = ReadonlyArray<GpuReading> | GpuProbeReason | "hangs"

/**
 * Test handle: what the next reads do.
 *
 * @category services
 * @since 0.1.0
 */
export class MockReadings extends Context.Service<MockReadings, {
  /** From now on every read does this; what was scripted is forgotten. */
  readonly set: (step: Step) => Effect.Effect<void>
  /** The next reads do these, one each; after the last one it stays at that. */
  readonly script: (steps: readonly [Step, ...ReadonlyArray<Step>]) => Effect.Effect<void>
  /** How many reads there have been. */
  readonly reads: Effect.Effect<number>
}>()("llamero/testing/mocks/MockGpuProbe/MockReadings") {}

/** A device that is well. Unless told, half of its memory is free. @category constructors @since 0.1.0 */
export const device = (
  uuid: string,
  total: ByteSize.ByteSize,
  known?: Partial<GpuReading> & { readonly freeBytes?: ByteSize.ByteSize | undefined },
): GpuReading => {
  const { freeBytes, ...rest } = known ?? {}
  const free = freeBytes ?? ByteSize.bytes(total / 2n)
  return {
    ...unknown(uuid, `Mock ${uuid}`, "gpu"),
    total: Option.some(total),
    free: Option.some(free),
    used: Option.some(ByteSize.subtractUnsafe(total, free)),
    health: Option.some(new Healthy({})),
    ...rest,
  }
}

/**
 * Reads what the handle says; `initial` at first.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  initial: Step = [],
  options?: {
    /** Defaults to `"mock"`. */
    readonly source?: string | undefined
  },
): Layer.Layer<GpuProbe | MockReadings> =>
  Layer.effectContext(Effect.sync(() => {
    const source = options?.source ?? "mock"
    let steps: ReadonlyArray<Step> = [initial]
    let reads = 0

    const read = Effect.suspend((): Effect.Effect<GpuReadings, GpuProbeError> => {
      reads++
      const [step = [], ...later] = steps
      if (later.length > 0) steps = later
      if (step === "hangs") return Effect.never
      if ("_tag" in step) return Effect.fail(new GpuProbeError({ source, reason: step }))
      return Effect.succeed({ source, passedOver: [], devices: step })
    })
    const script = (next: ReadonlyArray<Step>) =>
      Effect.sync(() => {
        steps = next
      })
    return Context.make(GpuProbe, { source, read }).pipe(
      Context.add(MockReadings, { set: (step) => script([step]), script, reads: Effect.sync(() => reads) }),
    )
  }))
