/**
 * Slots and pins counted in this process, and the live view over them.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Stream } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Breaker } from "../../services/Breaker.ts"
import { Fleet } from "../../services/Fleet.ts"
import { type Lease, Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { unused } from "../../services/Outcome.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as Listeners from "../../support/listeners.ts"
import type { BackendSlots, ViewServices } from "./backendSlots.ts"
import * as Committing from "./commit.ts"
import { FleetSlots } from "./fleetSlots.ts"
import { HeldLease } from "./heldLease.ts"

const make = Effect.fnUntraced(function* (adapts: boolean) {
  const fleet = yield* Fleet
  const services: ViewServices = {
    health: yield* BackendHealth,
    breaker: yield* Breaker,
    residency: yield* Residency,
    catalog: yield* ModelCatalog,
    clock: yield* Clock.Clock,
    adapts,
  }
  const { breaker, health, residency } = services
  let held = 0

  const listeners = yield* Listeners.logged<void>("freed slots")
  const freed = (): void => listeners.notify()
  const released = (): void => {
    held--
    freed()
  }
  const stops = [health.onChange(freed), breaker.onTransition(freed), residency.onChange(freed)]
  yield* Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
  yield* Effect.forkScoped(Stream.runForEach(fleet.changes, () => Effect.sync(freed)))

  const take = (slots: BackendSlots, demand: Demand): Lease | undefined => {
    // The permit comes last: nothing after it can refuse, so a half-open trial is never taken for nothing.
    const permit = breaker.acquire(slots.backend.id, demand.model.key)
    if (permit === undefined) return undefined
    try {
      // Held from now on: the end of its keep-alive does not make the model look absent, and it is not unloaded.
      const pin = !demand.model.remote && demand.loads ? residency.hold(slots.backend.id, demand.model) : undefined
      const lease = new HeldLease(slots, demand, permit, pin, released)
      held++
      return lease
    } catch (error) {
      // A trial that is never recorded would keep the breaker half-open for ever.
      permit.record(unused)
      throw error
    }
  }

  return Leases.of({
    view: new FleetSlots(fleet, services),
    commit: Committing.make(services, take),
    count: () => held,
    onFree: listeners.add,
  })
})

type Needs = Fleet | BackendHealth | Breaker | Residency | ModelCatalog

/**
 * Leases counted in the memory of this process. A backend has at most `Backend.streamsMax` streams, and so has a GPU
 * over all backends that use it.
 *
 * **Details**
 *
 * The limit of streams of one model on one backend begins at `Backend.parallelism`, and finds the slots that the server
 * has for the model: Ollama has `OLLAMA_NUM_PARALLEL` of them for each model in memory, and one for an embedder. It
 * compares how long answers were without work at two limits. Ollama's own API reports that; on the other paths the time
 * to the first byte of a stream tells it. An answer of another path that does not stream tells nothing. The limit falls
 * by half when the backend answers that it is busy.
 *
 * No library is used: permit, slot and pin have to be taken together in one synchronous step, and a semaphore of Effect
 * takes one of them asynchronously.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Leases, never, Needs> = Layer.effect(Leases, make(true))

/**
 * `layer` with the configured parallelism as a fixed limit.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFixed: Layer.Layer<Leases, never, Needs> = Layer.effect(Leases, make(false))
