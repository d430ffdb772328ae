/**
 * Everything that a deployer may set, in one table with its defaults. Each setting has a variable of the environment,
 * and from its name a flag and a key in a file. The reference server reads the table, and the documentation prints it.
 *
 * @since 0.1.0
 */
import { Config, Effect } from "effect"
import type * as OtlpMetrics from "./routes/OtlpMetrics.ts"
import * as PullRoutes from "./routes/PullRoutes.ts"
import * as Access from "./settings/access.ts"
import * as Agent from "./settings/agent.ts"
import * as Backends from "./settings/backends.ts"
import * as Reloads from "./settings/changeable.ts"
import * as Memory from "./settings/memory.ts"
import * as Names from "./settings/names.ts"
import type { JsonSchema } from "./settings/natural.ts"
import * as Metrics from "./settings/otlpMetrics.ts"
import * as OtlpOptions from "./settings/otlpOptions.ts"
import * as Read from "./settings/read.ts"
import * as Rules from "./settings/rules.ts"
import * as Schema from "./settings/schema.ts"
import * as Sources from "./settings/sources.ts"
import * as Table from "./settings/table.ts"
import * as Tracing from "./settings/tracing.ts"
import * as Traffic from "./settings/traffic.ts"
import type * as Values from "./settings/values.ts"
import * as OtlpTracing from "./tracing/OtlpTracing.ts"

export { backendNames, backendsGiven } from "./settings/given.ts"
export type { JsonSchema } from "./settings/natural.ts"
export type { FileEntry, Flaw, Found, Place, SettingsFile, Sources } from "./settings/sources.ts"
export type { Level, ScorerName } from "./settings/structured.ts"
export type { AgentSettings } from "./settings/values.ts"
export type { Variable } from "./settings/variable.ts"

/**
 * The value of every setting. Durations are milliseconds, sizes are bytes; an empty text means "not set".
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings
  extends
    Values.Backends,
    Values.Listening,
    Values.Streams,
    Values.Placing,
    Values.Queues,
    Values.Admin,
    Values.Times,
    Values.Sizes,
    Values.Failures,
    Values.Sharing,
    Values.Memory,
    Values.Access,
    Values.Pulls,
    Values.Requests,
    Values.Metrics,
    Values.Collector,
    Values.Sampling<OtlpTracing.SamplerName> {}

/**
 * The table: each setting with its environment variable. `src/layers/settings` has it by subject.
 *
 * @category settings
 * @since 0.1.0
 */
export const variables: Values.Table<Settings> = {
  ...Backends.backends,
  ...Backends.listening,
  ...Backends.streams,
  ...Backends.placing,
  ...Traffic.queues,
  ...Traffic.admin,
  ...Traffic.times,
  ...Traffic.sizes,
  ...Traffic.failures,
  ...Traffic.sharing,
  ...Memory.memory,
  ...Access.access,
  ...Access.pulls(PullRoutes.isPattern),
  ...Access.requests,
  ...Metrics.metrics,
  ...Tracing.collector,
  ...Tracing.sampling(OtlpTracing.samplers),
}

/** The settings that change while the server runs, when they are read again. @category models @since 0.1.0 */
export type Changeable = (typeof Reloads.changeable)[number]

/** The settings that only a restart changes. @category models @since 0.1.0 */
export type Fixed = Omit<Settings, Changeable>

/** The keys of `Changeable`. @category settings @since 0.1.0 */
export const changeable: ReadonlySet<string> = new Set<Changeable>(Reloads.changeable)

/** The settings of a router for which nothing is set. @category settings @since 0.1.0 */
export const defaults: Settings = Object.fromEntries(
  Object.entries(variables).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Settings

/**
 * The settings from the `ConfigProvider`, which is the environment unless a deployer provides another one. The error
 * tells all values that cannot be read, and those that do not go together. Names of variables are not checked:
 * `fromEnv` does that.
 *
 * **Details**
 *
 * A shell that points its clients at the router (`OLLAMA_HOST=127.0.0.1:11435`) may also start the router. Then
 * `ollamaHost` is cleared, so that the router does not send requests to itself.
 *
 * @category settings
 * @since 0.1.0
 */
export const config: Config.Config<Settings> = Config.map(Read.all(variables, Rules.flaws), (found) => settled(found))

const settled = (settings: Settings): Settings =>
  settings.ollamaHost !== "" && Rules.isRouter(settings)(settings.ollamaHost)
    ? { ...settings, ollamaHost: "" }
    : settings

/**
 * What `OtlpTracing.layer` needs to know. `undefined` where no collector is set, or where traces are turned off.
 *
 * @category settings
 * @since 0.1.0
 */
export const tracing: (settings: Settings) => OtlpTracing.Options | undefined = OtlpOptions.tracing

/**
 * What `OtlpMetrics.layer` needs to know. `undefined` where `OTEL_METRICS_EXPORTER` is not `otlp`, or no collector is
 * set.
 *
 * @category settings
 * @since 0.1.0
 */
export const metrics: (settings: Settings) => OtlpMetrics.Options | undefined = OtlpOptions.metrics

/** The settings of the GPU agent, as `config`. @category settings @since 0.1.0 */
export const agentConfig: Config.Config<Values.AgentSettings> = Read.all(Agent.agent)

/**
 * The settings from an environment. The error tells all values that are wrong, and all names that are no settings.
 *
 * **Details**
 *
 * A name counts as wrong if it begins with `LLAMERO_`, in capitals or not, or is a setting whose `LLAMERO` is misspelt.
 * Names in `LLAMERO_IGNORE` belong to other programs. Variables that Kubernetes sets for a service called `llamero`
 * are left out.
 *
 * @category settings
 * @since 0.1.0
 */
export const fromEnv = (env: Names.Env): Effect.Effect<Settings, Config.ConfigError> => strict(find({ env }))

/** The settings of the GPU agent, as `fromEnv`. @category settings @since 0.1.0 */
export const agentFromEnv = (
  env: Names.Env,
): Effect.Effect<Values.AgentSettings, Config.ConfigError> => strict(findIn(Agent.agent, { env }, () => []))

/**
 * The settings from flags, a file and the environment: where several of them have a setting, the first of these
 * counts. It does not fail: settings that cannot be read have their defaults, and `flaws` tells everything that is
 * wrong, each flaw with its place.
 *
 * **Details**
 *
 * A flag is named as its variable, without `LLAMERO_`, in small letters with hyphens: `--queue-capacity`. A key in a
 * file is in camel case: `queueCapacity`. Its value is natural JSON: a number, `true`, a list, an object. A key whose
 * value is null counts as not set, and so does an empty variable. An empty flag stands for the default.
 *
 * @category settings
 * @since 0.1.0
 */
export const find = (sources: Sources.Sources): Sources.Found<Settings> => {
  const found = findIn(variables, sources, Rules.flaws)
  return { ...found, values: settled(found.values) }
}

const findIn = <T extends Read.Table>(table: T, sources: Sources.Sources, rules: Read.Rules<T>) => {
  const env = Names.withoutServiceLinks(sources.env)
  const found = Sources.find(table, { ...sources, env }, rules, own)
  const names = unknownNames(Object.keys(env), env[variables.ignored.name])
  return { ...found, flaws: [...names.map((name) => ({ message: complaint(name) })), ...found.flaws] }
}

const strict = <A>({ flaws, values }: Sources.Found<A>): Effect.Effect<A, Config.ConfigError> =>
  flaws.length === 0 ? Effect.succeed(values) : Effect.fail(Read.failing(flaws.map(({ message }) => message)))

/** The flag of a variable, without its two hyphens: `queue-capacity`. @category settings @since 0.1.0 */
export const flagOf = (name: string): string => Names.flagOf(name)

/** The key of a variable in a file: `queueCapacity`. @category settings @since 0.1.0 */
export const keyOf = (name: string): string => Names.keyOf(name)

/** The JSON Schema of a file of settings. @category settings @since 0.1.0 */
export const jsonSchema = (): JsonSchema => Schema.jsonSchema(variables)

/** The error in words: a line for each variable, with its value and what is wanted. @category settings @since 0.1.0 */
export const explain = (error: Config.ConfigError): string => {
  const flaws = Read.flawsOf(error)
  return flaws.length === 1 ? flaws[0]! : `${flaws.length} settings are wrong:\n  ${flaws.join("\n  ")}`
}

/**
 * Variables that only commands of `llamero` read. They are no settings of the router, and no mistakes in its
 * environment either: one shell may run both.
 *
 * @category settings
 * @since 0.1.0
 */
export const ofCommands: ReadonlyArray<string> = ["LLAMERO_URL"]

/** The variables of the router, of the GPU agent and of commands may be in one environment. */
const known: ReadonlySet<string> = new Set([
  ...[...Object.values(variables), ...Object.values(Agent.agent)].map(({ name }) => name),
  ...ofCommands,
])

/**
 * Names that are meant for llamero and are not settings: probably typing errors. `ignored` has the names of other
 * programs' variables with commas between, as in `LLAMERO_IGNORE`.
 *
 * @category settings
 * @since 0.1.0
 */
export const unknownNames = (names: Iterable<string>, ignored?: string): ReadonlyArray<string> =>
  Names.unknown(names, known, ignored)

/** Whoever writes `LLAMERO_` does not mean a variable of OpenTelemetry. */
const own: ReadonlyArray<string> = Array.from(known).filter((name) => !name.startsWith("OTEL_"))

/** The value is not shown: nobody knows whether it is a secret. */
const complaint = (name: string): string => {
  const near = Names.nearest(name, own)
  return near === undefined
    ? `${name}: no setting has this name; if another program reads it, add it to LLAMERO_IGNORE`
    : `${name}: no setting has this name; did you mean ${near}?`
}

/**
 * The table in Markdown, for the documentation. `reload` says whether a server that runs takes a new value, the new
 * content of the file, or neither.
 *
 * @category settings
 * @since 0.1.0
 */
export const table = (): string => Table.markdown(variables)
