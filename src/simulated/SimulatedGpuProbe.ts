/**
 * Reads the GPUs of a simulated fleet.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Layer, Option } from "effect"
import { GpuProbe, type GpuReading, Healthy, unknown } from "../services/GpuProbe.ts"
import type { SimulatedServer } from "./server.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

/** The UUID of a simulated GPU that was given none. @category constructors @since 0.1.0 */
export const uuid = (url: string, index = 0): string => `GPU-${new URL(url).host}-${index}`

/** As an H100 reports them, idle and at work. */
const sensors = (works: boolean) => ({
  temperature: Option.some(works ? 62 : 34),
  power: Option.some(works ? 480 : 70),
  utilisation: Option.some(works ? 1 : 0),
})

const reading = (id: string, total: number, used: number, works: boolean): GpuReading => ({
  ...unknown(id, "simulated", "gpu"),
  total: Option.some(ByteSize.bytes(total)),
  free: Option.some(ByteSize.bytes(Math.max(0, total - used))),
  used: Option.some(ByteSize.bytes(used)),
  health: Option.some(new Healthy({})),
  ...sensors(works),
})

const readings = (servers: Iterable<SimulatedServer>): ReadonlyArray<GpuReading> => {
  const devices = new Map<string, GpuReading>()
  for (const { gpus, open, settings, url } of servers) {
    gpus.forEach(({ total, used }, index) => {
      const id = settings.gpuUuids[index] ?? uuid(url, index)
      devices.set(id, reading(id, total, Math.round(used), open > 0))
    })
  }
  return Array.from(devices.values())
}

/**
 * One device for each GPU of the simulated servers; a GPU that several servers share is one device. Memory that the
 * driver is still releasing counts as used, as with a real driver.
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
        devices: readings(servers.values()),
      })),
    })),
)
