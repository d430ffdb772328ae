/**
 * Runs `llamero sync`: it asks the Ollama servers themselves, and needs no router.
 *
 * @since 0.1.0
 */
import { Console, type Duration, Effect, FileSystem, Layer, Option, type Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import * as Settings from "../../layers/Settings.ts"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../layers/transport/NodeTransport.ts"
import { type Backend, Fleet, type FleetError } from "../../services/Fleet.ts"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Transport } from "../../services/Transport.ts"
import { type CommandFailed, failed } from "../failed.ts"
import * as Output from "../output.ts"
import { type Listener, perform, survey } from "./perform.ts"
import { plan, wantedOf } from "./plan.ts"
import * as Progress from "./progress.ts"
import * as Report from "./report.ts"

/** The Ollama of this machine, where nothing says which backends there are. */
const local = "http://127.0.0.1:11434"

/** What to do. @category models @since 0.1.0 */
export interface Options {
  readonly backends: ReadonlyArray<Backend>
  /** Models that every backend is to have, besides those of its `models`. */
  readonly models: ReadonlyArray<string>
  readonly apply: boolean
  /** Whether models with different contents are pulled, too. */
  readonly repair: boolean
  /** Longest time of one pull. */
  readonly limit: Duration.Duration
  readonly listener: Listener
}

/** Plans, and performs where it is asked to. @category calls @since 0.1.0 */
export const sync = (options: Options): Effect.Effect<Report.Report, CommandFailed, OllamaApi | Transport> =>
  Effect.gen(function* () {
    const { apply, backends, limit, listener, models, repair } = options
    const wanted = wantedOf(backends, models)
    if (wanted.length === 0) {
      return yield* failed("No model is wanted: name some in `models` of the fleet file, or with --model.")
    }
    const before = plan(wanted, yield* survey(backends), repair)
    if (!apply) return Report.make(before, before, undefined)
    const ended = yield* perform(backends, before.pulls, limit, listener)
    const after = before.pulls.length === 0 ? before : plan(wanted, yield* survey(backends), false)
    return Report.make(before, after, ended)
  })

/** The backends that the flag names, else the settings, else the one on this machine. */
const fleetOf = (file: Option.Option<string>, { backends, fleetFile, ollamaHost }: Settings.Settings) => {
  const path = Option.getOrElse(file, () => fleetFile)
  const urls = backends.length > 0 ? backends : [ollamaHost === "" ? local : ollamaHost]
  const layer: Layer.Layer<Fleet, FleetError, FileSystem.FileSystem> = path === ""
    ? StaticFleet.layer(urls)
    : FileFleet.layer(path)
  return Effect.map(Fleet, (fleet) => fleet.members().map(({ backend }) => backend)).pipe(
    Effect.provide(layer),
    Effect.mapError(({ message }) => failed(message)),
  )
}

const reach = ({ caFile, connectMillis, headLimit }: Settings.Settings) =>
  Layer.unwrap(Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const ca = caFile === ""
      ? undefined
      : yield* Effect.mapError(files.readFileString(caFile), ({ message }) => failed(`LLAMERO_CA_FILE: ${message}`))
    const transport = NodeTransport.layer({ ca, connectMillis, headBytesMax: headLimit })
    return Layer.merge(HttpOllamaApi.layerTransport().pipe(Layer.provide(transport)), transport)
  }))

/** @category models @since 0.1.0 */
export interface Input {
  readonly apply: boolean
  readonly fleetFile: Option.Option<string>
  readonly json: boolean
  readonly limit: Duration.Duration
  readonly models: ReadonlyArray<string>
  readonly repair: boolean
}

/** @category calls @since 0.1.0 */
export const run = (
  { apply, fleetFile, json, limit, models, repair }: Input,
): Effect.Effect<void, CommandFailed, FileSystem.FileSystem | Terminal.Terminal> =>
  Effect.gen(function* () {
    const settings = yield* Effect.mapError(Settings.config, (error) => failed(Settings.explain(error)))
    const backends = yield* fleetOf(fleetFile, settings)
    const report = yield* Effect.scoped(Effect.gen(function* () {
      const listener = json ? Progress.silent : yield* Progress.shown
      return yield* sync({ backends, models, apply, repair, limit, listener })
    })).pipe(Effect.provide(reach(settings)))
    yield* Output.print(json, report, (paint) => {
      const gap = report.applied && report.pulls.length > 0 ? "\n" : ""
      return gap + Report.text(report, paint)
    })
    const end = Report.conclusion(report)
    if (!report.ok) return yield* failed(end)
    if (json) return
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    yield* Console.log(`\n${Output.paintWith(canColor)("good", end)}`)
  })
