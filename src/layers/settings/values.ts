/**
 * The values of the settings, by subject: one interface for each table of variables. Durations are milliseconds, sizes
 * are bytes. What a setting means is in its table.
 *
 * @since 0.1.0
 */
import type { Limits } from "../../services/ApiKeys.ts"
import type { PluginFileEntry } from "../../services/PluginFile.ts"
import type { Level, ScorerName } from "./structured.ts"
import type { Variable } from "./variable.ts"

/** The variables of some values. @internal */
export type Table<Values> = { readonly [K in keyof Values]: Variable<Values[K]> }

type Texts = ReadonlyArray<string>

/** @internal */
export interface Backends {
  readonly backends: Texts
  readonly fleetFile: string
  readonly fleetMillis: number
  readonly ollamaHost: string
  readonly caFile: string
  readonly plugins: ReadonlyArray<PluginFileEntry>
}

/** @internal */
export interface Listening {
  readonly host: string
  readonly port: number
  readonly configFile: string
  readonly ignored: Texts
}

/** @internal */
export interface Streams {
  readonly parallelism: number
  readonly streamsPerBackend: number
  readonly adaptive: boolean
}

/** @internal */
export interface Placing {
  readonly scorers: ReadonlyArray<readonly [ScorerName, number]>
  readonly picker: "max-score" | "two-choices" | "weighted-random"
  readonly zone: string
  readonly sessionHeader: string
}

/** @internal */
export interface Queues {
  readonly queueCapacity: number
  readonly queueBytes: number
  readonly queueMillis: number
  readonly tenantHeader: string
  readonly tenantWeights: Readonly<Record<string, number>>
}

/** @internal */
export interface Admin {
  readonly adminToken: string
  readonly decisions: number
}

/** @internal */
export interface Times {
  readonly connectMillis: number
  readonly writeMillis: number
  readonly firstByteMillis: number
  readonly gapMillis: number
  readonly answerMillis: number
  /** `Infinity` for no limit. */
  readonly totalMillis: number
  readonly heartbeatMillis: number
  readonly stallMillis: number
  readonly loadMillis: number
}

/** @internal */
export interface Sizes {
  readonly bodyLimit: number
  readonly headLimit: number
  readonly bufferBytes: number
  readonly drainMillis: number
}

/** @internal */
export interface Failures {
  readonly attemptsMax: number
  readonly retryRatio: number
  readonly retryPerSecond: number
  readonly hedge: boolean
  readonly breakerFailures: number
  readonly breakerOpenMillis: number
  readonly breakerOpenMaxMillis: number
  readonly redisUrl: string
  readonly healthMillis: number
  readonly healthTimeoutMillis: number
}

/** @internal */
export interface Sharing {
  readonly coalesce: boolean
  readonly batchInputs: number
}

/** @internal */
export interface Memory {
  readonly prewarm: Texts
  readonly pinned: Texts
  readonly vram: boolean
  readonly vramReserve: number
  readonly footprintsFile: string
  readonly agents: Texts
  readonly agentToken: string
  readonly nvmlLibrary: string
  readonly requiredModels: Texts
}

/** @internal */
export interface Access {
  readonly origins: Texts
  readonly hosts: Texts
  readonly keysFile: string
  readonly keysOpen: Texts
  /** 0 for no second listener. */
  readonly localPort: number
  readonly localKey: string
  readonly rateLimit: Limits
  readonly aliases: Readonly<Record<string, Texts>>
}

/** @internal */
export interface Pulls {
  readonly pulls: Texts
}

/** @internal */
export interface Requests {
  readonly contextGuard: boolean
  readonly logLevel: Level
  readonly logFormat: "" | "pretty" | "json"
}

/** @internal */
export interface Metrics {
  readonly metrics: boolean
  readonly metricsExporter: "otlp" | "none"
  readonly metricsEndpoint: string
  readonly metricsHeaders: Readonly<Record<string, string>>
  readonly metricsProtocol: "http/protobuf" | "http/json" | "grpc"
  readonly metricsCompression: "none" | "gzip"
  readonly metricsTimeoutMillis: number
  readonly metricsTemporality: "cumulative" | "delta" | "lowmemory"
  readonly metricsMillis: number
}

/** @internal */
export interface Collector {
  readonly otlpEndpoint: string
  readonly tracesEndpoint: string
  readonly tracesHeaders: Readonly<Record<string, string>>
  readonly tracesProtocol: "http/protobuf" | "http/json" | "grpc"
  readonly tracesCompression: "none" | "gzip"
  readonly tracesTimeoutMillis: number
  readonly tracesExporter: "otlp" | "none"
  readonly otelDisabled: boolean
  readonly serviceName: string
  readonly resource: Readonly<Record<string, string>>
  readonly spanDelayMillis: number
  readonly spanQueueMax: number
  readonly spanBatchMax: number
}

/** `Sampler`: the names of samplers. @internal */
export interface Sampling<Sampler extends string> {
  readonly sampler: Sampler
  /** From 0 to 1. */
  readonly samplerRatio: number
  readonly traceErrors: boolean
  readonly traceSlowMillis: number
}

/** The settings of the GPU agent. @category models @since 0.1.0 */
export interface AgentSettings {
  readonly token: string
  readonly host: string
  readonly port: number
  readonly library: string
}
