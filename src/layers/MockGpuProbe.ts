/**
 * Devices made up by a test.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Ref } from "effect"
import { GpuProbe, type GpuProbeError, type GpuReading } from "../services/GpuProbe.ts"

/**
 * Test handle: what the next `read` does.
 *
 * @category services
 * @since 0.1.0
 */
export class MockReadings
  extends Context.Service<MockReadings, Ref.Ref<Effect.Effect<ReadonlyArray<GpuReading>, GpuProbeError>>>()(
    "llamero/layers/MockGpuProbe/MockReadings",
  ) {}

/**
 * Reads what the handle holds; `initial` at first.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (initial: ReadonlyArray<GpuReading> = []): Layer.Layer<GpuProbe | MockReadings> =>
  Layer.effect(
    GpuProbe,
    Effect.map(MockReadings, (ref) => GpuProbe.of({ read: Effect.flatten(Ref.get(ref)) })),
  ).pipe(
    Layer.provideMerge(
      Layer.effect(
        MockReadings,
        Ref.make<Effect.Effect<ReadonlyArray<GpuReading>, GpuProbeError>>(Effect.succeed(initial)),
      ),
    ),
  )
