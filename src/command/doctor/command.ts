/**
 * `llamero doctor`: looks at the backends, the GPUs and the settings, and says what is wrong, why, and what to do.
 *
 * @since 0.1.0
 */
import {
  type Config,
  Duration,
  Effect,
  FileSystem,
  Layer,
  Option,
  Redacted,
  References,
  Runtime,
  Schema,
  Stdio,
  Terminal,
} from "effect"
import { Command, Flag } from "effect/cli"
import nodeProcess from "node:process"
import * as Settings from "../../layers/Settings.ts"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../layers/transport/NodeTransport.ts"
import type { Transport } from "../../services/Transport.ts"
import * as GoDuration from "../../wire/goDuration.ts"
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
  /** The settings. Defaults to those in `env`. */
  readonly settings: (env: World["env"]) => Effect.Effect<Settings.Settings, Config.ConfigError>
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

const repeated = (name: string, description: string, metavar: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.atLeast(0))

const duration = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(GoDuration.millis(text)),
      () => "a duration, such as 500ms, 30s or 5m",
    ),
    Flag.withDescription(description),
    Flag.withMetavar("duration"),
    Flag.optional,
  )

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const flags = {
  backends: Flag.String("backend").pipe(
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(Settings.variables.ollamaHost.parse(text)),
      () => Settings.variables.ollamaHost.wanted,
    ),
    Flag.withDescription("An Ollama to look at, instead of those of the settings; may be repeated"),
    Flag.withMetavar("url"),
    Flag.atLeast(0),
  ),
  models: repeated("model", "A model that every backend must have; may be repeated", "name"),
  url: Flag.String("url").pipe(
    Flag.filter(
      (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
      () => "a URL, such as http://127.0.0.1:11435",
    ),
    Flag.withDescription("The address of a running router, to ask what it has learned"),
    Flag.withMetavar("url"),
    Flag.optional,
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("The admin token of that router; LLAMERO_ADMIN_TOKEN when it is not given"),
    Flag.optional,
  ),
  // Not only a plain file: also a pipe, such as /dev/stdin.
  ollamaEnv: Flag.Path("ollama-env", { pathType: "either", mustExist: true }).pipe(
    Flag.withDescription("A file with the environment variables of Ollama: NAME=value lines, or its systemd unit"),
    Flag.optional,
  ),
  clientTimeout: duration("client-timeout", "How long your clients wait for an answer"),
  proxyTimeout: duration("proxy-timeout", "How long the proxy in front waits for the next byte"),
  timeout: duration("timeout", "Longest wait for each question; 5s when it is not given"),
  strict: flag("strict", "Warnings count as errors for the exit status, too"),
  json: flag("json", "Print the report as JSON"),
}

type Input = Command.Command.Config.Infer<typeof flags>

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
  const { ca, ...settings } = yield* readSettings(world.settings(world.env), world.env)
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

const description =
  "Looks at the Ollama servers, their GPUs and models, and the settings of the router, and says what " +
  "is wrong: what was seen, its cause, and the remedy. It changes nothing and loads no model.\n\n  " +
  "The exit status is 1 where there is an error, and with --strict also where there is a warning; else 0. Advice does " +
  "not count."

/** The command in other surroundings. */
export const make = (world: Partial<World> = {}) => {
  const whole: World = {
    env: nodeProcess.env,
    settings: Settings.fromEnv,
    local,
    transport: NodeTransport.layer,
    root: "",
    ...world,
  }
  return Command.make("doctor", flags, (input) =>
    Effect.gen(function* () {
      // Layers of the router log what they see. Here that would stand between the lines of the report.
      const found = yield* Effect.provideService(examined(input, whole), References.MinimumLogLevel, "None")
      yield* print(found, input.json, whole.env)
      const { error, warning } = found.counts
      if (error > 0 || (input.strict && warning > 0)) return yield* new Unhealthy({ errors: error, warnings: warning })
    })).pipe(
      Command.withDescription(description),
      Command.withShortDescription("Looks for what is wrong with the servers, the GPUs and the settings"),
      Command.withExamples([
        { command: "llamero doctor", description: "The backends of the settings, or the Ollama of this machine" },
        { command: "llamero doctor --backend gpu-1:11434 --backend gpu-2:11434 --model llama3.1:8b" },
        { command: "systemctl cat ollama | llamero doctor --ollama-env /dev/stdin" },
        { command: "llamero doctor --url http://127.0.0.1:11435 --json --strict" },
      ]),
    )
}

/** `llamero doctor`. */
export const command = make()
