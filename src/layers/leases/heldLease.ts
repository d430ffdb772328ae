/**
 * A lease, and what its release gives back.
 *
 * @since 0.1.0
 */
import type { Permit } from "../../services/Breaker.ts"
import type { Backend } from "../../services/Fleet.ts"
import type { Lease } from "../../services/Leases.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Pin } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { averaged, type DeviceStreams, type Slots } from "./slots.ts"

/** Counted from the moment it is made until it is released. @category models @since 0.1.0 */
export class HeldLease implements Lease {
  readonly backend: Backend
  readonly demand: Demand
  private readonly slots: Slots
  private readonly permit: Permit
  private readonly pin: Pin | undefined
  /** As they were when it began: a backend may be given others meanwhile. */
  private readonly devices: ReadonlyArray<DeviceStreams>
  private readonly freed: () => void
  private readonly begun: number
  /** Of its model, itself included, when it began. */
  private readonly streams: number
  private released = false
  constructor(slots: Slots, demand: Demand, permit: Permit, pin: Pin | undefined, freed: () => void) {
    this.backend = slots.backend
    this.demand = demand
    this.slots = slots
    this.permit = permit
    this.pin = pin
    this.devices = slots.devices
    this.freed = freed
    slots.count(demand.model, 1)
    for (const device of this.devices) device.streams++
    this.begun = slots.lastLeaseAt = slots.sources.clock.currentTimeMillisUnsafe()
    this.streams = slots.streamsOf(demand.model)
  }

  readonly release = (outcome: Outcome): void => {
    if (this.released) return
    this.released = true
    const { demand, slots } = this
    slots.count(demand.model, -1)
    for (const device of this.devices) device.streams--
    this.learn(outcome)
    const { health, residency } = slots.sources
    this.permit.record(outcome)
    health.record(slots.backend.id, outcome)
    if (outcome.kind === "success" && !demand.model.remote && demand.keepsNothing !== true) {
      residency.touch(slots.backend.id, demand.model)
    }
    this.pin?.release()
    this.freed()
  }

  private learn(outcome: Outcome): void {
    const { begun, demand: { model }, slots, streams } = this
    const { adapts, clock } = slots.sources
    const of = slots.of(model)
    const at = clock.currentTimeMillisUnsafe()
    if (outcome.kind === "success" && outcome.firstByteMillis !== undefined) {
      slots.firstByteMillis = averaged(slots.firstByteMillis, outcome.firstByteMillis)
      of.serviceMillis = averaged(of.serviceMillis, at - begun)
    }
    if (!adapts) return
    const { parallelism, streamsMax } = slots.backend
    of.concurrency.settled(outcome, { at, begun, configured: parallelism, streams, streamsMax })
  }
}
