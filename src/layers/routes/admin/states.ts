/**
 * The state of the router as operators read it: the types of what `stateSchemas.ts` encodes. Times are ISO 8601,
 * durations are seconds, sizes are bytes; `null` means "not known".
 *
 * @since 0.1.0
 */
import type { PlanState, PrewarmState } from "./planStates.ts"
import type { LatenciesState, StreamsState, TrafficState } from "./trafficStates.ts"

/** The state of a breaker. @category models @since 0.1.0 */
export type BreakerName = "closed" | "open" | "half-open" | "isolated"

/** A queue that is not empty. @category models @since 0.1.0 */
export interface QueueState {
  readonly model: string
  readonly depth: number
  readonly bytes: number
  readonly oldest_seconds: number
  readonly estimated_wait_seconds: number
  readonly classes: {
    readonly interactive: number
    readonly default: number
    readonly batch: number
  }
  readonly tenants: ReadonlyArray<{
    readonly tenant: string
    readonly depth: number
  }>
}

/** A breaker that is not closed, or the one of a whole backend. @category models @since 0.1.0 */
export interface BreakerState {
  readonly backend: string
  /** `null` for the breaker of the whole backend. */
  readonly model: string | null
  readonly state: BreakerName
  /** Until it allows an attempt; 0 when it allows one now. */
  readonly retry_seconds: number
}

/** A model of the catalog. @category models @since 0.1.0 */
export interface CatalogModel {
  readonly model: string
  readonly remote: boolean
  readonly capabilities: ReadonlyArray<string>
  readonly context_trained: number | null
  readonly backends: ReadonlyArray<{
    readonly backend: string
    readonly digest: string
    readonly size: number
  }>
}

/** A model in a backend's memory, or on its way there. @category models @since 0.1.0 */
export interface ResidentState {
  readonly model: string
  readonly state: "loading" | "resident" | "draining"
  readonly size: number | null
  readonly size_vram: number | null
  readonly context: number | null
  /** When Ollama unloads it; `never` for one that stays. */
  readonly expires_at: string | null
  readonly source: "observed" | "assumed"
  readonly streams: number
  readonly streams_max: number
  readonly pinned: boolean
  /** Whether it has layers in system memory which should be on a GPU. */
  readonly spilled: boolean
}

/** One backend. @category models @since 0.1.0 */
export interface BackendState {
  readonly id: string
  readonly url: string
  readonly labels: Readonly<Record<string, string>>
  readonly weight: number
  readonly member: "active" | "draining" | "isolated"
  readonly health: "unknown" | "healthy" | "unhealthy"
  readonly reason: string
  readonly since: string | null
  readonly version: string | null
  readonly breaker: BreakerName
  readonly streams: number
  readonly streams_max: number
  readonly first_byte_seconds: number | null
  readonly last_used_at: string | null
  readonly devices: ReadonlyArray<string>
  /** Bytes for new loads, and for one model with nothing else loaded. */
  readonly room: number | null
  readonly limit: number | null
  readonly models: ReadonlyArray<ResidentState>
  /** Models that an operator has pinned here, in memory or not. */
  readonly pins: ReadonlyArray<string>
}

/** The memory of one device, and the models that it is charged with. @category models @since 0.1.0 */
export interface DeviceState {
  readonly device: string
  readonly backends: ReadonlyArray<string>
  readonly declared: number | null
  readonly total: number | null
  readonly free: number | null
  readonly capacity: number | null
  readonly held: number
  readonly reserve: number | null
  readonly foreign: number | null
  readonly read_at: string | null
  readonly failure: string
  readonly models: ReadonlyArray<{
    readonly backend: string
    readonly model: string
    readonly bytes: number
    readonly state: "reserved" | "loading" | "resident" | "draining" | "releasing" | "gone"
  }>
}

/** The whole state of the router. @category models @since 0.1.0 */
export interface State {
  readonly at: string
  readonly router: {
    readonly draining: boolean
    /** Requests that have not ended, those in queues included. */
    readonly requests: number
    readonly leases: number
    readonly prewarmed: boolean
    /** Events that no listener has seen, because there were too many. */
    readonly events_lost: number
    /** Whether answers are made up by a simulated Ollama. */
    readonly simulated: boolean
  }
  readonly traffic: TrafficState
  readonly latency: LatenciesState
  readonly streams: StreamsState
  readonly backends: ReadonlyArray<BackendState>
  readonly devices: ReadonlyArray<DeviceState>
  readonly queues: ReadonlyArray<QueueState>
  readonly breakers: ReadonlyArray<BreakerState>
  readonly prewarm: ReadonlyArray<PrewarmState>
  readonly plans: ReadonlyArray<PlanState>
}

/** An audit event. @category models @since 0.1.0 */
export interface Change {
  readonly at: string
  readonly who: string
  readonly address: string | null
  readonly action: string
  readonly backend: string | null
  readonly model: string | null
  readonly result: "done" | "refused" | "failed"
  readonly reason: string
}

/** What has become of a change. @category models @since 0.1.0 */
export interface Done {
  /** What has changed, for people. */
  readonly done: string
  readonly backend: BackendState
}
