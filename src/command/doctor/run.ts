/**
 * Looks at everything that the flags and the settings name, and prints what was found.
 *
 * @since 0.1.0
 */
import {
  Duration,
  Effect,
  FileSystem,
  Layer,
  Option,
  type PlatformError,
  Redacted,
  References,
  Runtime,
  Schema,
  Stdio,
  Terminal,
} from "effect"
import nodeProcess from "node:process"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../layers/transport/NodeTransport.ts"
import type { Transport } from "../../services/Transport.ts"
import type { Input } from "./flags.ts"
import type { ObservedHost } from "./observations.ts"
import { observe } from "./observe.ts"
import * as Client from "./observe/client.ts"
import { fleetList } from "./observe/fleet.ts"
import { local } from "./observe/hosts.ts"
import { readSettings } from "./observe/settings.ts"
import { text } from "./print.ts"
import { type Report, report } from "./report.ts"

/** What the command reads of its surroundings. Tests give others. */
export interface World {
  /** Defaults to the environment of this process. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The devices of this machine; `library` is the path of NVML. */
  readonly local: (library: string) => Effect.Effect<ObservedHost, never, FileSystem.FileSystem>
  readonly transport: (options: NodeTransport.Options) => Layer.Layer<Transport>
  /** Folder that contains `/proc`; empty for the real root. */
  readonly root: string
}

/** There is something to mend: the status is 1. What it is was printed. */
export class Unhealthy extends Schema.TaggedError<Unhealthy>()("Unhealthy", {
  errors: Schema.Int,
  warnings: Schema.Int,
}) {
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false
  override get message(): string {
    return `the doctor found ${this.errors} error(s) and ${this.warnings} warning(s)`
  }
}

/** A file that a flag names cannot be read. */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { description: Schema.String }) {
  override get message(): string {
    return this.description
  }
}

const readFile = (path: string) =>
  FileSystem.FileSystem.use((files) => files.readFileString(path)).pipe(
    Effect.mapError(({ message }) => new Unreadable({ description: `${path}: ${message}` })),
  )

/** Looks at everything that the flags and the settings name. */
const examined = Effect.fnUntraced(function* (input: Input, world: World): Effect.fn.Return<
  Report,
  Unreadable,
  FileSystem.FileSystem
> {
  const { ca, ...settings } = yield* readSettings(Option.getOrUndefined(input.config), world.env)
  const { values } = settings
  const limit = Duration.millis(Option.getOrElse(input.timeout, () => 5000))
  const ollamaEnv = Option.isNone(input.ollamaEnv)
    ? undefined
    : { path: input.ollamaEnv.value, text: yield* readFile(input.ollamaEnv.value) }
  const fleet = yield* fleetList(input.backends, values)
  const transport = world.transport({ ca, connectMillis: Duration.toMillis(limit), headBytesMax: values.headLimit })
  const reach = Layer.mergeAll(HttpOllamaApi.layerTransport({ timeout: limit }), Client.layer).pipe(
    Layer.provideMerge(transport),
  )
  const observations = yield* Effect.provide(
    observe({
      settings,
      fleet,
      models: input.models,
      url: Option.getOrUndefined(input.url),
      token: Option.match(input.token, { onNone: () => values.adminToken, onSome: Redacted.value }),
      ollamaEnv,
      env: world.env,
      inFront: {
        clientMillis: Option.getOrUndefined(input.clientTimeout),
        proxyMillis: Option.getOrUndefined(input.proxyTimeout),
      },
      local: world.local(values.nvmlLibrary),
      root: world.root,
      limit,
    }),
    reach,
  )
  return report(observations)
})

const print = (found: Report, json: boolean, env: World["env"]) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    if (json) return yield* terminal.display(`${JSON.stringify(found, null, 2)}\n`)
    const isTerminal = yield* (yield* Stdio.Stdio).stdoutIsTerminal
    const columns = isTerminal ? yield* terminal.columns : 100
    yield* terminal.display(text(found, { columns, colours: isTerminal && (env["NO_COLOR"] ?? "") === "" }))
  })

/** How the command ends where its status is not 0. */
export type Failure = PlatformError.PlatformError | Unhealthy | Unreadable

/** What it needs of the runtime. */
export type Needs = FileSystem.FileSystem | Stdio.Stdio | Terminal.Terminal

/** The world of this process. */
const here = (): World => ({
  env: nodeProcess.env,
  local,
  transport: NodeTransport.layer,
  root: "",
})

/** Fails with `Unhealthy` where the status must not be 0. */
export const run = Effect.fnUntraced(function* (
  input: Input,
  world: Partial<World>,
): Effect.fn.Return<void, Failure, Needs> {
  const whole = { ...here(), ...world }
  // Layers of the router log what they see. Here that would stand between the lines of the report.
  const found = yield* Effect.provideService(examined(input, whole), References.MinimumLogLevel, "None")
  yield* print(found, input.json, whole.env)
  const { error, warning } = found.counts
  if (error > 0 || (input.strict && warning > 0)) return yield* new Unhealthy({ errors: error, warnings: warning })
})
