/**
 * A lease: what it counts while it is held, and what its release gives back.
 *
 * @since 0.1.0
 */
import type { Permit } from "../../services/Breaker.ts"
import type { Backend } from "../../services/Fleet.ts"
import type { Lease } from "../../services/Leases.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Pin } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { movingAverage } from "../../support/movingAverage.ts"
import type { BackendSlots, DeviceStreams } from "./backendSlots.ts"

/** The weight of the newest answer in the averages of a backend's times. */
const newestWeight = 0.2

/** Counted from its construction to its release. @category models @since 0.1.0 */
export class HeldLease implements Lease {
  readonly backend: Backend
  readonly demand: Demand
  private readonly slots: BackendSlots
  private readonly permit: Permit
  private readonly pin: Pin | undefined
  /** The devices of the backend when the lease began: the backend may get others in the meantime. */
  private readonly devices: ReadonlyArray<DeviceStreams>
  private readonly freed: () => void
  private readonly begun: number
  /** Streams of the model when the lease began, this one included. */
  private readonly streams: number
  private released = false
  constructor(slots: BackendSlots, demand: Demand, permit: Permit, pin: Pin | undefined, freed: () => void) {
    this.backend = slots.backend
    this.demand = demand
    this.slots = slots
    this.permit = permit
    this.pin = pin
    this.devices = slots.devices
    this.freed = freed
    slots.count(demand.model, 1)
    for (const device of this.devices) device.streams++
    this.begun = slots.lastLeaseAt = slots.services.clock.currentTimeMillisUnsafe()
    this.streams = slots.streamsOf(demand.model)
  }

  readonly release = (outcome: Outcome): void => {
    if (this.released) return
    this.released = true
    const { demand, slots } = this
    slots.count(demand.model, -1)
    for (const device of this.devices) device.streams--
    // A service that throws must not keep the pin, nor the requests that wait for this slot.
    try {
      this.tell(outcome)
    } finally {
      try {
        this.pin?.release()
      } finally {
        this.freed()
      }
    }
  }

  private tell(outcome: Outcome): void {
    const { demand, slots } = this
    const { health, residency } = slots.services
    this.measure(outcome)
    this.permit.record(outcome)
    health.record(slots.backend.id, outcome)
    if (outcome.kind === "success" && !demand.model.remote && demand.keepsNothing !== true) {
      residency.touch(slots.backend.id, demand.model, demand.client)
    }
  }

  private measure(outcome: Outcome): void {
    const { begun, demand: { model }, slots, streams } = this
    const { adapts, clock } = slots.services
    const ofModel = slots.ofModel(model)
    const at = clock.currentTimeMillisUnsafe()
    if (outcome.kind === "success" && outcome.firstByteMillis !== undefined) {
      slots.firstByteMillis = movingAverage(slots.firstByteMillis, outcome.firstByteMillis, newestWeight)
      ofModel.serviceMillis = movingAverage(ofModel.serviceMillis, at - begun, newestWeight)
    }
    if (!adapts) return
    const { parallelism, streamsMax } = slots.backend
    ofModel.concurrency.settled(outcome, { at, begun, configured: parallelism, streams, streamsMax })
  }
}
