/** What is in the memory of this machine's devices: `node examples/04-vram.ts`, with `--watch` every second. */
import { ByteSize, Effect, Option, References, Schedule } from "effect"
import process from "node:process"
import { GpuProbe, type GpuProbeError, type GpuReading, type GpuReadings } from "../src/services/GpuProbe.ts"
import { localProbe } from "./support/gpus.ts"
import { runMain } from "./support/main.ts"

const width = 30

const show = <A>(value: Option.Option<A>, text: (known: A) => string): string =>
  Option.match(value, { onNone: () => "?", onSome: text })

const bytes = (value: Option.Option<ByteSize.ByteSize>): string =>
  show(value, (size) => ByteSize.format(size, { unit: "GiB" }))

/** What is taken, whoever took it: total less free. */
const bar = ({ free, total }: GpuReading): string => {
  if (Option.isNone(free) || Option.isNone(total)) return "?".repeat(width)
  const filled = width - Math.round((Number(free.value) / Number(total.value)) * width)
  return "█".repeat(filled) + "░".repeat(width - filled)
}

const row = (device: GpuReading): ReadonlyArray<string> => [
  device.name,
  device.kind,
  bar(device),
  bytes(device.free),
  bytes(device.total),
  show(device.utilisation, (share) => `${Math.round(share * 100)} %`),
  show(device.temperature, (degrees) => `${degrees} °C`),
  show(device.power, (watts) => `${Math.round(watts)} W`),
  show(device.health, (health) => health._tag === "Healthy" ? "healthy" : health.reason),
]

const head = ["device", "kind", "memory taken", "free", "total", "busy", "heat", "power", "health"]

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  return rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n")
}

const page = ({ devices, passedOver, source }: GpuReadings): string =>
  [
    table([head, ...devices.map(row)]),
    "",
    `read by ${source}`,
    ...passedOver.map((other) => `not by ${other.source}: ${other.reason}: ${other.description}`),
  ].join("\n")

const watching = process.argv.includes("--watch")

const main = Effect.gen(function* () {
  const probe = yield* GpuProbe
  const once = Effect.map(probe.read, (readings) => console.log(`${watching ? "\x1b[2J\x1b[H" : ""}${page(readings)}`))
  if (!watching) return yield* once
  const failed = (error: GpuProbeError) => Effect.sync(() => console.log(error.message))
  yield* Effect.repeat(Effect.catch(once, failed), Schedule.spaced("1 second"))
}).pipe(
  Effect.provide(localProbe),
  Effect.provideService(References.MinimumLogLevel, "Error"), // The page says what the log would.
)

runMain(main, (error) => error.message)
