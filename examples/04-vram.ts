/**
 * Shows how much memory each GPU of this machine has, and which models are in it.
 *
 * Run `node examples/04-vram.ts`; with `--watch` it prints every second.
 */
import { Effect, Option, References, Schedule } from "effect"
import process from "node:process"
import * as NodeMain from "../src/layers/server/NodeMain.ts"
import * as Settings from "../src/layers/Settings.ts"
import { Fleet, type Member } from "../src/services/Fleet.ts"
import { GpuProbe, type GpuReading } from "../src/services/GpuProbe.ts"
import { OllamaApi } from "../src/services/OllamaApi.ts"
import { reach as nodeReach } from "../src/command/serve/node.ts"
import * as Place from "../src/command/serve/place.ts"
import { bar, gib, table } from "./table.ts"

const number = (value: Option.Option<number | bigint>) => Option.getOrUndefined(Option.map(value, Number))
const show = <A>(value: Option.Option<A>, text: (known: A) => string) =>
  Option.match(value, { onNone: () => "?", onSome: text })

const deviceRow = ({ free, health, kind, name, power, temperature, total, utilisation }: GpuReading) => [
  ...[name, kind, bar(1 - (number(free) ?? NaN) / (number(total) ?? NaN)), gib(number(free)), gib(number(total))],
  show(utilisation, (share) => `${Math.round(share * 100)} %`),
  show(temperature, (degrees) => `${degrees} °C`),
  show(power, (watts) => `${Math.round(watts)} W`),
  show(health, (one) => one._tag === "Healthy" ? "healthy" : one.reason),
]

/** One row for each model on a backend's disk. For a model in memory it shows the share that is on GPUs. */
const modelRows = Effect.fnUntraced(function* ({ backend: { id }, backend }: Member) {
  const { ps, tags } = yield* OllamaApi
  const [there, all] = yield* Effect.all([ps(backend), tags(backend)])
  return all.map(({ model, size }) => {
    const row = there.find((one) => one.model === model)
    if (row === undefined) return [id, model, bar(0), "0", `absent, ${gib(size)} on disk`]
    const share = row.size_vram / row.size
    return [id, model, bar(share), gib(row.size), share < 1 ? "resident, not all on GPUs" : "resident"]
  })
}, (rows, { backend }) => Effect.catch(rows, (why) => Effect.succeed([[backend.id, "?", bar(NaN), "?", why.message]])))

const watching = process.argv.includes("--watch")

const once = Effect.gen(function* () {
  const { devices, passedOver, source } = yield* (yield* GpuProbe).read
  const models = yield* Effect.forEach((yield* Fleet).members(), modelRows, { concurrency: "unbounded" })
  const head = ["device", "kind", "memory taken", "free", "total", "busy", "heat", "power", "health"]
  const others = passedOver.map((other) => `not by ${other.source}: ${other.reason}: ${other.description}`)
  const modelTable = table([["backend", "model", "on GPUs", "in memory", "state"], ...models.flat()])
  return [table([head, ...devices.map(deviceRow)]), "", modelTable, "", `read by ${source}`, ...others].join("\n")
}).pipe(watching ? Effect.catch(({ message }) => Effect.succeed(message)) : (page) => page)

const main = Effect.gen(function* () {
  const settings = yield* Settings.fromEnv(process.env)
  const reach = nodeReach(settings)
  const place = yield* Place.choose(settings, reach, { named: Settings.backendNames(process.env) })
  const print = Effect.map(once, (page) => console.log(`${watching ? "\x1b[2J\x1b[H" : ""}${page}\n${place.says}`))
  yield* Effect.provide(watching ? Effect.repeat(print, Schedule.spaced("1 second")) : print, [place.layer, reach.gpus])
}).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))

NodeMain.runMain(main, { why: (error) => error._tag === "ConfigError" ? Settings.explain(error) : error.message })
