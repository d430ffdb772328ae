/**
 * What all parts of a residency share: who holds what, who is told of it, and one order of events.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberSet, type Scope } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { ModelCatalog } from "../../../services/ModelCatalog.ts"
import { OllamaApi } from "../../../services/OllamaApi.ts"
import type { VictimPicker } from "../../../services/Plugin.ts"
import type { LoadEnd, LoadError, Spill } from "../../../services/Residency.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"
import type { Load, Loads } from "./loads.ts"
import { Pins } from "./pins.ts"
import type { ResidentModels } from "./residentModels.ts"
import type { Rivals } from "./rivals.ts"

/** One backend. @category models @since 0.1.0 */
export interface Held {
  readonly models: ResidentModels
  readonly loads: Loads
  /** Empty where memory is managed. */
  readonly rivals: Rivals
  /** Whether its memory has been read: before that nobody knows what is in it. */
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
  readonly catalog: ModelCatalog["Service"]
  readonly backends: Map<string, Held>
  readonly pins: Pins
  readonly listeners: Listeners.Listeners<LoadEnd | undefined>
  readonly spillListeners: Listeners.Listeners<Spill>
  /** Forks into the scope of the residency. */
  readonly run: (effect: Effect.Effect<unknown>) => void
  readonly now: () => number
  /** Orders touches, loads and readings, which may fall into one millisecond. */
  readonly nextSeq: () => number
  /** Looks at every load that waits. One that starts or ends may change what is free on the devices of other backends, too. */
  readonly pumpAll: () => void
  /** Tells everybody how a load ended, and starts the next. */
  readonly ended: (held: Held, load: Load, millis: number, error: LoadError | undefined, spilled?: boolean) => void
  /** Seconds that are sent with loads: for ever where memory is managed, so that Ollama never evicts by itself. */
  readonly keepAlive: (backend: Backend) => number | undefined
}

const forever = -1

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function* (
  limits: Limits,
): Effect.fn.Return<Holdings, never, ModelCatalog | OllamaApi | VramLedger | Scope.Scope> {
  const api = yield* OllamaApi
  const ledger = yield* VramLedger
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  const listeners = Listeners.make<LoadEnd | undefined>()
  const spillListeners = Listeners.make<Spill>()
  const backends = new Map<string, Held>()
  let seq = 0

  let pumping = false
  let again = false
  const pumpAll = (): void => {
    again = true
    if (pumping) return
    pumping = true
    while (again) {
      again = false
      for (const { loads } of backends.values()) loads.pump()
    }
    pumping = false
  }

  return {
    limits,
    api,
    ledger,
    catalog,
    backends,
    pins: new Pins(),
    listeners,
    spillListeners,
    run: (effect) => void run(effect),
    now: () => clock.currentTimeMillisUnsafe(),
    nextSeq: () => ++seq,
    pumpAll,
    ended: ({ loads }, load, millis, error, spilled = false) => {
      const coolDown = error === undefined ? undefined : loads.failed(error)
      loads.finish(load, error)
      listeners.notify({ backend: loads.backend.id, model: load.model.key, millis, error, spilled })
      // Who waits for the model is told again when it may be tried again.
      if (coolDown !== undefined) {
        run(Effect.andThen(Effect.sleep(coolDown), Effect.sync(() => listeners.notify(undefined))))
      }
      pumpAll()
    },
    keepAlive: (backend) => ledger.managed(backend) ? forever : limits.keepAlive,
  }
})
