/**
 * Everything that a deployer may set from the environment, in one table with its defaults. The reference server reads
 * it, and the documentation prints it.
 *
 * @since 0.1.0
 */
import { Config, ConfigProvider, Effect } from "effect"
import type * as OtlpMetrics from "./routes/OtlpMetrics.ts"
import * as PullRoutes from "./routes/PullRoutes.ts"
import * as Access from "./settings/access.ts"
import * as Agent from "./settings/agent.ts"
import * as Backends from "./settings/backends.ts"
import * as Memory from "./settings/memory.ts"
import * as Names from "./settings/names.ts"
import * as Metrics from "./settings/otlpMetrics.ts"
import * as Read from "./settings/read.ts"
import * as Rules from "./settings/rules.ts"
import * as Tracing from "./settings/tracing.ts"
import * as Traffic from "./settings/traffic.ts"
import * as OtlpTracing from "./tracing/OtlpTracing.ts"

export type { Level, ScorerName } from "./settings/structured.ts"
export type { Variable } from "./settings/variable.ts"

/**
 * The table: each setting with its environment variable. `src/layers/settings` has it by subject.
 *
 * @category settings
 * @since 0.1.0
 */
export const variables = {
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

/** The value of every setting. @category models @since 0.1.0 */
export type Settings = Read.ValuesOf<typeof variables>

/** The settings of a router for which nothing is set. @category settings @since 0.1.0 */
export const defaults = Object.fromEntries(
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
export const config: Config.Config<Settings> = Config.map(
  Read.all(variables, Rules.flaws),
  (settings) =>
    settings.ollamaHost !== "" && Rules.isRouter(settings)(settings.ollamaHost)
      ? { ...settings, ollamaHost: "" }
      : settings,
)

/**
 * What `OtlpTracing.layer` needs to know. `undefined` where no collector is set, or where traces are turned off.
 *
 * @category settings
 * @since 0.1.0
 */
export const tracing = (settings: Settings): OtlpTracing.Options | undefined => {
  const { otelDisabled, otlpEndpoint, resource, tracesEndpoint, tracesExporter, tracesProtocol } = settings
  const url = tracesEndpoint || (otlpEndpoint && `${otlpEndpoint.replace(/\/+$/, "")}/v1/traces`)
  if (url === "" || otelDisabled || tracesExporter === "none" || tracesProtocol === "grpc") return undefined
  return {
    url,
    headers: settings.tracesHeaders,
    protocol: tracesProtocol,
    compression: settings.tracesCompression,
    sampler: settings.sampler,
    ratio: settings.samplerRatio,
    errors: settings.traceErrors,
    slowMillis: settings.traceSlowMillis,
    serviceName: settings.serviceName,
    resource,
    timeoutMillis: settings.tracesTimeoutMillis,
    delayMillis: settings.spanDelayMillis,
    queueMax: settings.spanQueueMax,
    batchMax: settings.spanBatchMax,
  }
}

/**
 * What `OtlpMetrics.layer` needs to know. `undefined` where `OTEL_METRICS_EXPORTER` is not `otlp`, or no collector is
 * set.
 *
 * @category settings
 * @since 0.1.0
 */
export const metrics = (settings: Settings): OtlpMetrics.Options | undefined => {
  const { metricsEndpoint, metricsExporter, metricsProtocol, otelDisabled, otlpEndpoint } = settings
  const url = metricsEndpoint || (otlpEndpoint && `${otlpEndpoint.replace(/\/+$/, "")}/v1/metrics`)
  if (metricsExporter !== "otlp" || url === "" || otelDisabled || metricsProtocol === "grpc") return undefined
  return {
    url,
    headers: settings.metricsHeaders,
    protocol: metricsProtocol,
    compression: settings.metricsCompression,
    intervalMillis: settings.metricsMillis,
    timeoutMillis: settings.metricsTimeoutMillis,
    temporality: settings.metricsTemporality === "cumulative" ? "cumulative" : "delta",
    serviceName: settings.serviceName,
    resource: settings.resource,
  }
}

/** The settings of the GPU agent, as `config`. @category settings @since 0.1.0 */
export const agentConfig: Config.Config<Read.ValuesOf<typeof Agent.agent>> = Read.all(Agent.agent)

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
export const fromEnv = (env: Names.Env): Effect.Effect<Settings, Config.ConfigError> => strict(config, env)

/** The settings of the GPU agent, as `fromEnv`. @category settings @since 0.1.0 */
export const agentFromEnv = (
  env: Names.Env,
): Effect.Effect<Config.Success<typeof agentConfig>, Config.ConfigError> => strict(agentConfig, env)

const strict = <A>(config: Config.Config<A>, env: Names.Env): Effect.Effect<A, Config.ConfigError> => {
  const own = Names.withoutServiceLinks(env)
  const provider = ConfigProvider.fromEnvRecord(own)
  const names = unknownNames(Object.keys(own), own[variables.ignored.name]).map(complaint)
  return Effect.matchEffect(config.parse(provider), {
    onFailure: (error) => Effect.fail(Read.failing([...names, ...Read.flawsOf(error)])),
    onSuccess: (settings) => names.length === 0 ? Effect.succeed(settings) : Effect.fail(Read.failing(names)),
  })
}

/** The error in words: a line for each variable, with its value and what is wanted. @category settings @since 0.1.0 */
export const explain = (error: Config.ConfigError): string => {
  const flaws = Read.flawsOf(error)
  return flaws.length === 1 ? flaws[0]! : `${flaws.length} settings are wrong:\n  ${flaws.join("\n  ")}`
}

/** The variables of the router and of the GPU agent may be in one environment. */
const known: ReadonlySet<string> = new Set(
  [...Object.values(variables), ...Object.values(Agent.agent)].map(({ name }) => name),
)

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

const { plugins: _, ...aboutBackends } = { ...Backends.backends, agents: Memory.memory.agents }

/**
 * Names in an environment of settings that say which backends there are. A variable that is empty counts, too: somebody
 * meant to set it, so made-up answers of a simulated fleet are not wanted.
 *
 * @category settings
 * @since 0.1.0
 */
export const backendNames = (env: Names.Env): ReadonlyArray<string> =>
  Object.values(aboutBackends).flatMap(({ name }) => env[name] === undefined ? [] : [name])

/** The table in Markdown, for the documentation. @category settings @since 0.1.0 */
export const table = (): string =>
  [
    "| variable | default | meaning |",
    "| --- | --- | --- |",
    ...Object.values(variables).map(({ meaning, name, shown }) =>
      `| \`${name}\` | ${shown && `\`${shown}\``} | ${meaning} |`
    ),
  ].join("\n")
