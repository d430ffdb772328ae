/**
 * What all parts of the residency share: options, services, the state of each backend, and the listeners.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberSet, Result, type Scope } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { ModelCatalog } from "../../../services/ModelCatalog.ts"
import { OllamaApi } from "../../../services/OllamaApi.ts"
import type { VictimPicker } from "../../../services/Plugin.ts"
import type { LoadEnd, Spill } from "../../../services/Residency.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"
import { counter, rare } from "../../../support/metricSeries.ts"
import type { Conflicts } from "./conflicts.ts"
import type { LoadHistory } from "./loadHistory.ts"
import type { Loads, Waiting } from "./loadQueue.ts"
import { Pins } from "./pins.ts"
import type { ResidentModels } from "./residentModels.ts"

/** The state of one backend. @category models @since 0.1.0 */
export interface Held {
  readonly models: ResidentModels
  readonly loads: Loads
  readonly history: LoadHistory
  /** Empty where memory is managed. */
  readonly conflicts: Conflicts
  /** Whether `/api/ps` has been read. Before that it is not known which models are in memory. */
  read: boolean
}

/** The options of `PollingResidency.layer`, with the defaults applied. @category models @since 0.1.0 */
export interface Limits {
  readonly timeout: Duration.Duration
  readonly loadTimeout: Duration.Duration
  readonly keepAlive: number | undefined
  readonly picker: VictimPicker
  readonly idleMillis: number
  readonly patienceMillis: number
}

/** @category models @since 0.1.0 */
export interface Holdings {
  readonly limits: Limits
  readonly api: OllamaApi["Service"]
  readonly ledger: VramLedger["Service"]
  readonly catalog: Pick<ModelCatalog["Service"], "peek" | "blob">
  readonly backends: Map<string, Held>
  readonly waiting: Waiting
  readonly pins: Pins
  readonly listeners: Listeners.Listeners<LoadEnd | undefined>
  readonly spillListeners: Listeners.Listeners<Spill>
  /** Counts a model that makes room for another one. */
  readonly evicted: (backend: string, model: string) => void
  /** Forks into the scope of the residency. */
  readonly run: (effect: Effect.Effect<unknown>) => void
  readonly now: () => number
  /** Numbers touches, loads and readings in the order they happen, also within one millisecond. */
  readonly nextSeq: () => number
  /**
   * Calls code of a plugin or another service. A throw is logged as a warning, and `otherwise` is returned: it must
   * not stop the loads of other models.
   */
  readonly contained: <A>(what: string, call: () => A, otherwise: A) => A
  /** Seconds that are sent with loads: for ever where memory is managed, so that Ollama never unloads by itself. */
  readonly keepAlive: (backend: Backend) => number | undefined
}

const evictions = counter("llamero_evictions_total", "Models that were chosen to make room for the load of another one")

/** Ollama reads a negative `keep_alive` as "for ever". */
const forever = -1

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function* (
  limits: Limits,
): Effect.fn.Return<Holdings, never, ModelCatalog | OllamaApi | VramLedger | Scope.Scope> {
  const ledger = yield* VramLedger
  const clock = yield* Clock.Clock
  const fork = yield* FiberSet.makeRuntime()
  const evicted = rare(evictions, yield* Effect.context<never>())
  let seq = 0
  const run = (effect: Effect.Effect<unknown>): void => void fork(effect)
  return {
    limits,
    api: yield* OllamaApi,
    ledger,
    catalog: yield* ModelCatalog,
    backends: new Map(),
    waiting: { loads: 0 },
    pins: new Pins(),
    listeners: yield* Listeners.logged<LoadEnd | undefined>("residency"),
    spillListeners: yield* Listeners.logged<Spill>("spills"),
    evicted: (backend, model) => evicted(1, { backend, model }),
    run,
    now: () => clock.currentTimeMillisUnsafe(),
    nextSeq: () => ++seq,
    contained: (what, call, otherwise) => {
      const result = Result.try(call)
      if (Result.isSuccess(result)) return result.success
      run(Effect.logWarning(`${what} failed`, result.failure))
      return otherwise
    },
    keepAlive: (backend) => ledger.managed(backend) ? forever : limits.keepAlive,
  }
})
