/**
 * Everything a deployer may set from the environment, with its default, in one table: what the reference server reads and what the README lists.
 *
 * @since 0.1.0
 */
import { Config, ConfigProvider, Effect, Option, Schema } from "effect"
import type { Limits } from "../services/ApiKeys.ts"
import type { PluginFileEntry } from "../services/PluginFile.ts"
import * as PullRoutes from "./routes/PullRoutes.ts"
import * as GoDuration from "../wire/goDuration.ts"
import * as Parse from "./settings/parse.ts"

/**
 * One environment variable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Variable<A> {
  readonly name: string
  readonly meaning: string
  /** What a value must look like, in words: part of the error. */
  readonly wanted: string
  /** The default, as one would write it. */
  readonly shown: string
  readonly fallback: A
  readonly parse: (text: string) => A | undefined
}

const of = <A>(
  name: string,
  meaning: string,
  kind: { readonly wanted: string; readonly parse: (text: string) => A | undefined },
  shown: string,
  fallback = kind.parse(shown),
): Variable<A> => {
  if (fallback === undefined) throw new RangeError(`Settings: ${name} must have a default that reads, got ${shown}`)
  return { name, meaning, wanted: kind.wanted, shown, fallback, parse: kind.parse }
}

const atLeast = (minimum: number) => ({ wanted: `a whole number of at least ${minimum}`, parse: Parse.whole(minimum) })
const duration = { wanted: "a duration with its unit, such as 500ms, 30s or 5m", parse: GoDuration.millis }
const optionalDuration = {
  wanted: `${duration.wanted}, or off`,
  parse: (text: string): number | undefined => text.toLowerCase() === "off" ? Infinity : GoDuration.millis(text),
}
const size = { wanted: "a number of bytes, such as 67108864, 64MiB or 256MB", parse: Parse.bytes }
const ratio = { wanted: "a number of at least 0", parse: Parse.decimal }
const port = { wanted: "a port from 0 to 65535 (0: any free one)", parse: Parse.whole(0, 65_535) }
const onOff = { wanted: "on or off", parse: Parse.onOff }
const words = (wanted: string) => ({ wanted, parse: Parse.list })

const urls = {
  wanted: "addresses of Ollama servers with commas between, such as http://10.0.0.4:11434,10.0.0.5",
  parse: (text: string): ReadonlyArray<string> | undefined => {
    const found = Parse.list(text).map(Parse.ollamaUrl)
    return found.length > 0 && found.every((url) => url !== undefined) ? found : undefined
  },
}
const host = {
  wanted: "the address of one Ollama server: host, host:port, :port or a URL",
  parse: (text: string): string | undefined => Parse.ollamaUrl(text),
}
const redis = {
  wanted: "the URL of a Redis, such as redis://10.0.0.9:6379 or rediss://:password@redis.example:6380/0",
  parse: (text: string): string | undefined => /^rediss?:\/\/./.test(text) && URL.canParse(text) ? text : undefined,
}
const address = {
  wanted: "an address to listen on, such as 127.0.0.1, 0.0.0.0 or ::",
  parse: (text: string): string | undefined => /^[\w.:%-]+$/.test(text) ? text : undefined,
}

/** Whatever it is, it reads: an error would print it. */
const secret = { wanted: "a token", parse: (text: string): string => text }

const agents = {
  wanted: "http(s) URLs with commas between, no two on one host, such as http://10.0.0.4:11436,http://10.0.0.5:11436",
  parse: (text: string): ReadonlyArray<string> | undefined => {
    const found = Parse.list(text)
    if (!found.every((url) => /^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))) return undefined
    return new Set(found.map((url) => new URL(url).hostname)).size === found.length ? found : undefined
  },
}

const path = { wanted: "the path of a file", parse: (text: string): string | undefined => text }

/** `gpt-4o=llama3.1:8b` or, with models to fall back on, `gpt-4o=llama3.1:70b|llama3.1:8b`. */
const aliases = {
  wanted: "names with the models they stand for, such as gpt-4o=llama3.1:70b|llama3.1:8b,gpt-4o-mini=mistral:7b",
  parse: (text: string): Readonly<Record<string, ReadonlyArray<string>>> | undefined => {
    const pairs = Parse.pairs(text)
    if (pairs === undefined) return undefined
    const chains = Object.entries(pairs).map(([name, models]) => [name, models.split("|")] as const)
    return chains.some(([, chain]) => chain.includes("")) ? undefined : Object.fromEntries(chains)
  },
}
const limits = {
  wanted: "limits such as requests=60,tokens=20000,concurrent=4: the first two for a minute",
  parse: (text: string): Limits | undefined => {
    const pairs = Object.entries(Parse.pairs(text) ?? { wrong: "" })
    const names: Readonly<Record<string, keyof Limits>> = {
      requests: "requestsPerMinute",
      tokens: "tokensPerMinute",
      concurrent: "concurrent",
    }
    const read = pairs.map(([name, value]) => [names[name], Parse.whole(1)(value)] as const)
    return read.every(([name, value]) => name !== undefined && value !== undefined)
      ? Object.fromEntries(read)
      : undefined
  },
}

const pulls = {
  wanted:
    "names of models with commas between, or beginnings with a * behind, such as llama3.1:8b,qwen3*,hf.co/someone/*",
  parse: (text: string): ReadonlyArray<string> | undefined => {
    const found = Parse.list(text)
    return found.every(PullRoutes.isPattern) ? found : undefined
  },
}

/** Paths with commas between, or JSON, where plugins have options. */
const plugins = {
  wanted:
    'paths or URLs of plugin files with commas between, or JSON such as [{"from":"./near.ts","options":{"zone":"a"},"weight":2}]',
  parse: (text: string): ReadonlyArray<PluginFileEntry> | undefined => {
    if (!text.trimStart().startsWith("[")) return Parse.list(text).map((from) => ({ from }))
    return Option.getOrUndefined(decodeEntries(text))
  },
}
const decodeEntries = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Array(Schema.Struct({
    from: Schema.String,
    options: Schema.optionalKey(Schema.Unknown),
    weight: Schema.optionalKey(Schema.Finite),
  }))),
  { onExcessProperty: "error" },
)

/** @category models @since 0.1.0 */
export type Level = "All" | "Trace" | "Debug" | "Info" | "Warn" | "Error" | "Fatal" | "None"
const levels: ReadonlyArray<Level> = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"]
const level = {
  wanted: `one of ${levels.join(", ")}`,
  // `warning` is what most other programs call it.
  parse: (text: string): Level | undefined =>
    levels.find((level) => level.toLowerCase() === text.toLowerCase().replace(/^warning$/, "warn")),
}

/**
 * The table.
 *
 * @category settings
 * @since 0.1.0
 */
export const variables = {
  backends: of("LLAMERO_BACKENDS", "The Ollama servers to route to", urls, "", []),
  fleetFile: of(
    "LLAMERO_FLEET_FILE",
    "A JSON file with the backends, read again when it changes; where LLAMERO_BACKENDS is not set",
    { wanted: "the path of a file", parse: (text: string): string | undefined => text },
    "",
  ),
  fleetMillis: of("LLAMERO_FLEET_INTERVAL", "Between two looks at LLAMERO_FLEET_FILE", duration, "1s"),
  ollamaHost: of("OLLAMA_HOST", "The one Ollama server to route to, where LLAMERO_BACKENDS is not set", host, "", ""),
  plugins: of("LLAMERO_PLUGINS", "Plugin files to take in, in this order", plugins, ""),
  host: of("LLAMERO_HOST", "Address to listen on; 0.0.0.0 lets other machines in", address, "127.0.0.1"),
  port: of("LLAMERO_PORT", "Port to listen on", port, "11435"),
  parallelism: of(
    "LLAMERO_PARALLELISM",
    "Streams one model serves at a time: the servers' OLLAMA_NUM_PARALLEL",
    atLeast(1),
    "1",
  ),
  streamsPerGpu: of("LLAMERO_STREAMS_PER_GPU", "Streams over all models of one backend", atLeast(1), "8"),
  adaptive: of(
    "LLAMERO_ADAPTIVE_CONCURRENCY",
    "Whether the streams of a model on a backend follow what the backend says of waits inside it, from LLAMERO_PARALLELISM on",
    onOff,
    "on",
  ),
  queueCapacity: of("LLAMERO_QUEUE_CAPACITY", "Requests waiting for one model", atLeast(0), "128"),
  queueBytes: of("LLAMERO_QUEUE_BYTES", "Bodies waiting, all models together", size, "256MiB"),
  queueMillis: of("LLAMERO_QUEUE_DEADLINE", "Longest wait in a queue, loads under way apart", duration, "30s"),
  tenantHeader: of(
    "LLAMERO_TENANT_HEADER",
    "Header that says whose request it is, so that tenants share fairly; for a proxy in front to set",
    { wanted: "the name of a header", parse: (text: string) => /^[\w-]*$/.test(text) ? text : undefined },
    "",
  ),
  tenantWeights: of(
    "LLAMERO_TENANT_WEIGHTS",
    "Shares of tenants, such as team-a=3; 1 for all others",
    { wanted: "shares above 0 with commas between, such as team-a=3,team-b=0.5", parse: Parse.shares },
    "",
  ),
  adminToken: of(
    "LLAMERO_ADMIN_TOKEN",
    "Bearer token of /admin/*; without one there are no such routes",
    secret,
    "",
  ),
  connectMillis: of("LLAMERO_CONNECT_TIMEOUT", "For a connection to a backend", duration, "5s"),
  writeMillis: of("LLAMERO_WRITE_TIMEOUT", "For a backend to take more of a request's body", duration, "10s"),
  firstByteMillis: of("LLAMERO_FIRST_BYTE_TIMEOUT", "For the first byte of a stream", duration, "120s"),
  gapMillis: of("LLAMERO_GAP_TIMEOUT", "Between two chunks of a stream", duration, "120s"),
  answerMillis: of("LLAMERO_ANSWER_TIMEOUT", "For an answer that does not stream", duration, "10m"),
  totalMillis: of("LLAMERO_TOTAL_TIMEOUT", "For all of an answer", optionalDuration, "off"),
  heartbeatMillis: of("LLAMERO_HEARTBEAT", "Silence before a stream gets a sign of life", duration, "15s"),
  stallMillis: of("LLAMERO_STALL_TIMEOUT", "For a client that does not read", duration, "60s"),
  loadMillis: of("LLAMERO_LOAD_TIMEOUT", "For the load of a model", duration, "300s"),
  bodyLimit: of("LLAMERO_BODY_LIMIT", "Largest request body", size, "64MiB"),
  bufferBytes: of(
    "LLAMERO_BUFFER_BYTES",
    "Answers waiting for clients that read slowly, all together; those who hold most are cut",
    size,
    "256MiB",
  ),
  drainMillis: of("LLAMERO_DRAIN_TIMEOUT", "For running streams to finish after SIGTERM", duration, "30s"),
  attemptsMax: of("LLAMERO_ATTEMPTS", "Attempts for one request, the first included", atLeast(1), "3"),
  retryRatio: of("LLAMERO_RETRY_RATIO", "Retries earned by each request", ratio, "0.2"),
  retryPerSecond: of("LLAMERO_RETRY_PER_SECOND", "Retries a second that need no earning", ratio, "10"),
  hedge: of(
    "LLAMERO_HEDGE",
    "Whether a request whose first byte is late for its model is sent to a second backend that has the model in memory; counts as a retry",
    onOff,
    "off",
  ),
  breakerFailures: of("LLAMERO_BREAKER_FAILURES", "Failures one after the other that open a breaker", atLeast(1), "5"),
  breakerOpenMillis: of("LLAMERO_BREAKER_OPEN", "How long a breaker stays open at first", duration, "30s"),
  breakerOpenMaxMillis: of("LLAMERO_BREAKER_OPEN_MAX", "How long at most, after doubling", duration, "5m"),
  redisUrl: of("LLAMERO_REDIS_URL", "The Redis through which replicas share breakers and rate limits", redis, "", ""),
  healthMillis: of("LLAMERO_HEALTH_INTERVAL", "Between two probes of a backend", duration, "5s"),
  healthTimeoutMillis: of("LLAMERO_HEALTH_TIMEOUT", "For one probe", duration, "5s"),
  coalesce: of("LLAMERO_COALESCE", "Identical deterministic requests in flight share one call", onOff, "on"),
  batchInputs: of(
    "LLAMERO_EMBED_BATCH",
    "Embedding inputs that queue together in one call; 1 for none",
    atLeast(1),
    "64",
  ),
  prewarm: of(
    "LLAMERO_PREWARM",
    "Models to have in memory before the router is ready",
    words("models with commas between"),
    "",
    [],
  ),
  pinned: of(
    "LLAMERO_PINNED",
    "Models to keep in memory; the router is ready when they are there",
    words("models with commas between"),
    "",
    [],
  ),
  vram: of(
    "LLAMERO_VRAM",
    "Whether llamero decides what fits into GPU memory and what leaves it, on backends whose devices it can read; else Ollama does",
    onOff,
    "off",
  ),
  vramReserve: of("LLAMERO_VRAM_RESERVE", "Kept free on each device, with LLAMERO_VRAM", size, "2GiB"),
  footprintsFile: of(
    "LLAMERO_FOOTPRINTS",
    "A JSON file that says what models take, where that is known better",
    path,
    "",
  ),
  agents: of(
    "LLAMERO_AGENTS",
    "GPU agents on other machines, one for each host of backends, such as http://10.0.0.4:11436",
    agents,
    "",
  ),
  agentToken: of("LLAMERO_AGENT_TOKEN", "The agents' token", secret, ""),
  nvmlLibrary: of("LLAMERO_NVML_LIBRARY", "NVIDIA's library, where the system does not find it", path, ""),
  requiredModels: of(
    "LLAMERO_REQUIRED_MODELS",
    "Models without which the router is not ready: each on the disk of some healthy backend",
    words("models with commas between"),
    "",
    [],
  ),
  origins: of(
    "LLAMERO_ORIGINS",
    "Origins of web pages to let in, beyond Ollama's own list",
    words("origins with commas between"),
    "",
    [],
  ),
  hosts: of(
    "LLAMERO_HOSTS",
    "Names clients may call a server on loopback by, beyond Ollama's own list",
    words("host names with commas between"),
    "",
    [],
  ),
  keysFile: of("LLAMERO_KEYS_FILE", "File of API keys; with one, nobody gets in without a key", path, "", ""),
  keysOpen: of(
    "LLAMERO_KEYS_OPEN",
    "Paths that need no key",
    words("paths with commas between"),
    "/livez,/readyz,/admin/queues",
  ),
  rateLimit: of("LLAMERO_RATE_LIMIT", "Limits for each key without its own, or each tenant", limits, "", {}),
  aliases: of("LLAMERO_ALIASES", "Other names for models, and models to fall back on", aliases, "", {}),
  pulls: of(
    "LLAMERO_PULLS",
    "Models that clients may have pulled, on all backends, such as llama3.1:8b,qwen3*",
    pulls,
    "",
    [],
  ),
  contextGuard: of("LLAMERO_CONTEXT_GUARD", "Whether prompts that cannot fit the context are refused", onOff, "on"),
  logLevel: of("LLAMERO_LOG_LEVEL", "How much is logged", level, "Info"),
}

/** @category models @since 0.1.0 */
export type Settings = {
  readonly [K in keyof typeof variables]: (typeof variables)[K] extends Variable<infer A> ? A : never
}

/** What a router has where nothing is set. @category settings @since 0.1.0 */
export const defaults = Object.fromEntries(
  Object.entries(variables).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Settings

const wrong = (name: string, text: string, wanted: string): Config.ConfigError =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({ message: `${name}=${JSON.stringify(text)}: wants ${wanted}` }),
  )

/** An empty variable is one that is not set: compose files and shells make them by the dozen. */
const read = <A>({ fallback, name, parse, wanted }: Variable<A>): Config.Config<A> =>
  Config.mapEffect(Config.withDefault(Config.String(name), ""), (given): Effect.Effect<A, Config.ConfigError> => {
    const text = given.trim()
    if (text === "") return Effect.succeed(fallback)
    const value = parse(text)
    return value === undefined ? Effect.fail(wrong(name, text, wanted)) : Effect.succeed(value)
  })

const self = (settings: Settings) => (url: string): boolean => {
  const { hostname, port } = new URL(url)
  return Number(port) === settings.port && ["127.0.0.1", "localhost", "[::1]", settings.host].includes(hostname)
}

/** A shell that points its clients at llamero (`OLLAMA_HOST=127.0.0.1:11435`) may also start it: that must not make a loop. */
const withoutLoop = (settings: Settings): Effect.Effect<Settings, Config.ConfigError> => {
  const loop = settings.backends.find(self(settings))
  if (loop !== undefined) {
    return Effect.fail(wrong(variables.backends.name, loop, "backends other than this router itself"))
  }
  const toSelf = settings.ollamaHost !== "" && self(settings)(settings.ollamaHost)
  return Effect.succeed(toSelf ? { ...settings, ollamaHost: "" } : settings)
}

/**
 * The settings, from whatever `ConfigProvider` there is: the environment, unless a deployer says otherwise. Fails at the first value that does not read.
 *
 * @category settings
 * @since 0.1.0
 */
export const config: Config.Config<Settings> = Config.mapEffect(
  Config.all(
    Object.fromEntries(Object.entries(variables).map(([key, variable]) => [key, read<unknown>(variable)])),
  ) as unknown as Config.Config<Settings>,
  withoutLoop,
)

/** One line for a person: which variable, what it holds, what is wanted. @category settings @since 0.1.0 */
export const explain = (error: Config.ConfigError): string =>
  error.cause._tag === "SourceError" ? error.cause.message : error.message

/** Names that look like settings and are none: most likely typing errors. @category settings @since 0.1.0 */
export const unknownNames = (names: Iterable<string>): ReadonlyArray<string> => {
  const known = new Set(Object.values(variables).map(({ name }) => name))
  return Array.from(names).filter((name) => name.startsWith("LLAMERO_") && !known.has(name)).sort()
}

/** The table in Markdown: the README's is compared with it. @category settings @since 0.1.0 */
export const table = (): string =>
  [
    "| variable | default | meaning |",
    "| --- | --- | --- |",
    ...Object.values(variables).map(({ meaning, name, shown }) =>
      `| \`${name}\` | ${shown && `\`${shown}\``} | ${meaning} |`
    ),
  ].join("\n")
