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

/**
 * What one read does: the devices that it finds, the reason of its failure, or `hangs`.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = ReadonlyArray<GpuReading> | GpuProbeReason | "hangs"

const key = "llamero/testing/mocks/MockGpuProbe/MockReadings"
const Base: Context.ServiceClass<MockReadings, typeof key, Service> = Context.Service<MockReadings, Service>()(key)

/**
 * Test handle: what the next reads do.
 *
 * @category services
 * @since 0.1.0
 */
export class MockReadings extends Base {}

/** The members of `MockReadings`. @category services @since 0.1.0 */
export interface Service {
  /** Every read does this from now on. A script is forgotten. */
  readonly set: (step: Step) => Effect.Effect<void>
  /** The next reads do these, one each. Reads after the last step repeat it. */
  readonly script: (steps: readonly [Step, ...ReadonlyArray<Step>]) => Effect.Effect<void>
  /** The number of reads so far. */
  readonly reads: Effect.Effect<number>
}

/** A healthy device. By default half of its memory is free. @category constructors @since 0.1.0 */
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
 * Each read does what the handle says. The first ones do `initial`.
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
