/**
 * The counters of one backend, as the live view shows them.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { BackendHealth, HealthState } from "../../services/BackendHealth.ts"
import type { Breaker, BreakerState } from "../../services/Breaker.ts"
import type { Backend, Member } from "../../services/Fleet.ts"
import type { BackendView } from "../../services/FleetView.ts"
import type { Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import type { MemoryView, Residency, ResidencyState } from "../../services/Residency.ts"
import { ConcurrencyLimit } from "./concurrencyLimit.ts"

/** The services that the view reads, besides its own counters. @category models @since 0.1.0 */
export interface ViewServices {
  readonly health: BackendHealth["Service"]
  readonly breaker: Breaker["Service"]
  readonly residency: Residency["Service"]
  readonly catalog: ModelCatalog["Service"]
  readonly clock: Clock.Clock
  /** Whether the limits on streams adapt to what backends report. */
  readonly adapts: boolean
}

/** The call of `FleetView.still` that is under way. @category models @since 0.1.0 */
export interface StillTime {
  moment: number | undefined
}

/** Streams on one device, over all backends that use it. @category models @since 0.1.0 */
export class DeviceStreams {
  streams = 0
}

/** The counters of one model on one backend. */
class ModelSlots {
  streams = 0
  /** Moving average of the milliseconds from lease to release, over complete answers. */
  serviceMillis: number | undefined = undefined
  readonly concurrency: ConcurrencyLimit = new ConcurrencyLimit()
}

/**
 * The counters of one backend. Every other property is read from the service that owns it, at the moment of reading.
 *
 * @category models
 * @since 0.1.0
 */
export class BackendSlots implements BackendView {
  member: Member["state"]
  backend: Backend
  streams = 0
  lastLeaseAt = 0
  firstByteMillis: number | undefined = undefined
  devices: ReadonlyArray<DeviceStreams> = []
  /**
   * An entry stays when its counter falls to zero. A `Map` that gains and loses an entry for each request would keep V8
   * from freeing finished requests: see `support/bag.ts`.
   */
  private readonly perModel = new Map<string, ModelSlots>()
  readonly services: ViewServices
  private readonly time: StillTime
  /** What was read of one model during a call of `still`: several scorers ask for the same. */
  private readAt: number | undefined = undefined
  private readOf: Model | undefined = undefined
  private state: ResidencyState = "absent"
  private isMemoryRead = false
  private memoryView: MemoryView | undefined = undefined
  constructor(member: Member, services: ViewServices, time: StillTime) {
    this.time = time
    this.member = member.state
    this.backend = member.backend
    this.services = services
  }
  get health(): HealthState {
    return this.services.health.status(this.backend.id).state
  }
  get version(): string | undefined {
    return this.services.health.status(this.backend.id).version
  }
  ofModel(model: Model): ModelSlots {
    let slots = this.perModel.get(model.key)
    if (slots === undefined) this.perModel.set(model.key, slots = new ModelSlots())
    return slots
  }
  streamsOf(model: Model): number {
    return this.perModel.get(model.key)?.streams ?? 0
  }
  limitOf(model: Model): number {
    const { parallelism, streamsMax } = this.backend
    return this.perModel.get(model.key)?.concurrency.limit(parallelism, streamsMax) ?? Math.min(parallelism, streamsMax)
  }
  serviceMillisOf(model: Model): number | undefined {
    return this.perModel.get(model.key)?.serviceMillis
  }
  count(model: Model, change: 1 | -1): void {
    this.streams += change
    this.ofModel(model).streams += change
  }
  residency(model: Model): ResidencyState {
    if (this.time.moment === undefined) return this.services.residency.state(this.backend.id, model)
    this.read(model)
    return this.state
  }
  breaker(model: Model): BreakerState {
    return this.services.breaker.state(this.backend.id, model.key)
  }
  owns(model: Model): boolean {
    return model.owners.has(this.backend.id)
  }
  memory(model: Model): MemoryView | undefined {
    if (this.time.moment === undefined) return this.services.residency.memory(this.backend.id, model)
    this.read(model)
    if (!this.isMemoryRead) {
      this.memoryView = this.services.residency.memory(this.backend.id, model)
      this.isMemoryRead = true
    }
    return this.memoryView
  }
  loadMillis(model: Model): number {
    return this.services.residency.loadMillis(this.backend.id, model)
  }
  private read(model: Model): void {
    const { moment } = this.time
    if (this.readAt === moment && this.readOf === model) return
    this.state = this.services.residency.state(this.backend.id, model)
    this.readAt = moment
    this.readOf = model
    this.isMemoryRead = false
  }
  /** Whether the backend, one of its GPUs or the model there has as many streams as it may have. */
  full(model: Model): boolean {
    if (this.streams >= this.backend.streamsMax) return true
    for (const { streams } of this.devices) if (streams >= this.backend.streamsMax) return true
    return this.streamsOf(model) >= this.limitOf(model)
  }
}
