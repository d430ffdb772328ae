/**
 * Reads the GPUs of a simulated fleet.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Layer, Option } from "effect"
import { GpuProbe, type GpuReading, Healthy, unknown } from "../services/GpuProbe.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

/** The UUID of a simulated GPU. @category constructors @since 0.1.0 */
export const uuid = (url: string, index = 0): string => `GPU-${new URL(url).host}-${index}`

const reading = (url: string, index: number, total: number, used: number): GpuReading => ({
  ...unknown(uuid(url, index), "simulated", "gpu"),
  total: Option.some(ByteSize.bytes(total)),
  free: Option.some(ByteSize.bytes(Math.max(0, total - used))),
  used: Option.some(ByteSize.bytes(used)),
  health: Option.some(new Healthy({})),
})

/**
 * One device for each GPU of each simulated server. Memory that the driver is still releasing counts as used, as with a
 * real driver.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<GpuProbe, never, SimulatedFleet> = Layer.effect(
  GpuProbe,
  Effect.map(SimulatedFleet, ({ servers }) =>
    GpuProbe.of({
      source: "simulated",
      read: Effect.sync(() => ({
        source: "simulated",
        passedOver: [],
        devices: Array.from(servers.values()).flatMap(({ gpus, url }) =>
          gpus.map(({ total, used }, index) => reading(url, index, total, Math.round(used)))
        ),
      })),
    })),
)
