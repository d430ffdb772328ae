/** Wrong probes are caught by the exported contract. */
import { describe } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import { Failed, GpuProbe, type GpuReading } from "../../src/services/GpuProbe.ts"
import { GpuProbeContract } from "../../src/testing/index.ts"
import * as MockGpuProbe from "../../src/testing/mocks/MockGpuProbe.ts"
import { caught, passes } from "./caught.ts"

const card = MockGpuProbe.device("ga", ByteSize.gibibytes(24))
const lost = MockGpuProbe.layer(new Failed({ code: Option.none(), description: "it is broken" }))
const right = MockGpuProbe.layer([card])

const contract = (working: Layer.Layer<GpuProbe>, failing: Layer.Layer<GpuProbe> = lost) =>
  GpuProbeContract.contract({ working, kind: "gpu", failing: [failing, "Failed"] })
const showing = (...devices: ReadonlyArray<GpuReading>) => contract(MockGpuProbe.layer(devices))
/** A right probe with another `read`. */
const reading = (read: (right: GpuProbe["Service"]["read"]) => GpuProbe["Service"]["read"]) =>
  Layer.effect(GpuProbe, Effect.map(GpuProbe, (probe) => ({ ...probe, read: read(probe.read) }))).pipe(
    Layer.provide(right),
  )
let reads = 0
const shows = "shows a device, with memory that can be"

passes("MockGpuProbe", contract(right))

describe("a wrong probe", () => {
  caught("that shows nothing", showing(), shows, /a device that is gpu/)
  caught("that lists a device twice", showing(card, card), shows, /no device is listed twice/)
  caught(
    "that says 0 bytes for a total that is not known",
    showing(card, { ...card, uuid: "gb", total: Option.some(ByteSize.bytes(0)) }),
    shows,
    /not known, rather than zero/,
  )
  caught(
    "with more free memory than its total",
    showing({ ...card, free: Option.some(ByteSize.gibibytes(25)) }),
    shows,
    /expected true/,
  )
  caught(
    "that names its devices differently each time",
    contract(reading((right) =>
      Effect.map(right, (all) => ({
        ...all,
        devices: all.devices.map((one) => ({ ...one, uuid: `${++reads}` })),
      }))
    )),
    "names a device the same each time",
    /strictly deep-equal/,
  )
  caught("that hides its failure", contract(right, right), "says what is wrong, in a type and in words", /./)
})
