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
import { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as Listeners from "../../support/listeners.ts"
import * as Committing from "./commit.ts"
import { FleetSlots } from "./fleetSlots.ts"
import { HeldLease } from "./heldLease.ts"
import type { Slots, Sources } from "./slots.ts"

const make = Effect.fnUntraced(function* (adapts: boolean) {
  const fleet = yield* Fleet
  const sources: Sources = {
    health: yield* BackendHealth,
    breaker: yield* Breaker,
    residency: yield* Residency,
    catalog: yield* ModelCatalog,
    clock: yield* Clock.Clock,
    adapts,
  }
  const { breaker, health, residency } = sources
  let held = 0

  const listeners = Listeners.make<void>()
  const freed = (): void => listeners.notify()
  const released = (): void => {
    held--
    freed()
  }
  const stops = [health.onChange(freed), breaker.onTransition(freed), residency.onChange(freed)]
  yield* Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
  yield* Effect.forkScoped(Stream.runForEach(fleet.changes, () => Effect.sync(freed)))

  const take = (slots: Slots, demand: Demand): Lease | undefined => {
    // The permit comes last: once it is taken, nothing else can say no, so a half-open trial is never taken in vain.
    const permit = breaker.acquire(slots.backend.id, demand.model.key)
    if (permit === undefined) return undefined
    held++
    // In use from now on: a keep-alive that ends in the middle of a generation does not make the model look absent, and nobody unloads it.
    const pin = !demand.model.remote && demand.loads ? residency.hold(slots.backend.id, demand.model) : undefined
    return new HeldLease(slots, demand, permit, pin, released)
  }

  return Leases.of({
    view: new FleetSlots(fleet, sources),
    commit: Committing.make(sources, take),
    count: () => held,
    onFree: listeners.add,
  })
})

type Needs = Fleet | BackendHealth | Breaker | Residency | ModelCatalog

/**
 * Leases counted in memory: one process, one truth. A backend has at most `Backend.streamsMax` streams, and so has a GPU over all backends that use it.
 *
 * **Details**
 *
 * Streams of one model on one backend begin at `Backend.parallelism` and adapt: down by a tenth when requests wait for a slot inside the backend and by half
 * when it says that it is busy, up by one while all of them are taken and none waits in there. Only native answers say how long they waited.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Leases, never, Needs> = Layer.effect(Leases, make(true))

/**
 * As `layer`, with the configured parallelism as it stands.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFixed: Layer.Layer<Leases, never, Needs> = Layer.effect(Leases, make(false))
