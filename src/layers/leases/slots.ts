/**
 * The counters of one backend, as the live view shows them.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { BackendHealth } from "../../services/BackendHealth.ts"
import type { Breaker } from "../../services/Breaker.ts"
import type { Backend, Member } from "../../services/Fleet.ts"
import type { BackendView } from "../../services/FleetView.ts"
import type { Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Residency } from "../../services/Residency.ts"
import { Concurrency } from "./concurrency.ts"

/** Whom the view asks for what is not counted here. @category models @since 0.1.0 */
export interface Sources {
  readonly health: BackendHealth["Service"]
  readonly breaker: Breaker["Service"]
  readonly residency: Residency["Service"]
  readonly catalog: ModelCatalog["Service"]
  readonly clock: Clock.Clock
  /** Whether concurrency adapts to what backends say. */
  readonly adapts: boolean
}

/** Streams on one device, over all backends that use it. @category models @since 0.1.0 */
export class DeviceStreams {
  streams = 0
}

/** One model on one backend. */
class ModelSlots {
  streams = 0
  /** Moving average of milliseconds from lease to release, of answers that came whole. */
  serviceMillis: number | undefined = undefined
  readonly concurrency = new Concurrency()
}

/** How much the latest value counts in a moving average. */
const smoothing = 0.2

/** @category math @since 0.1.0 */
export const averaged = (before: number | undefined, value: number): number =>
  before === undefined ? value : before + smoothing * (value - before)

/** One backend's counters; every other property asks the service that owns it, at the moment it is read. @category models @since 0.1.0 */
export class Slots implements BackendView {
  member: Member["state"]
  backend: Backend
  streams = 0
  lastLeaseAt = 0
  firstByteMillis: number | undefined = undefined
  devices: ReadonlyArray<DeviceStreams> = []
  /** Counters stay when they fall to zero: a `Map` that gains and loses an entry for each request keeps V8 from freeing what came after (see `edge/bag.ts`). */
  private readonly perModel = new Map<string, ModelSlots>()
  readonly sources: Sources
  constructor(member: Member, sources: Sources) {
    this.member = member.state
    this.backend = member.backend
    this.sources = sources
  }
  get health() {
    return this.sources.health.status(this.backend.id).state
  }
  of(model: Model): ModelSlots {
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
    this.of(model).streams += change
  }
  residency(model: Model) {
    return this.sources.residency.state(this.backend.id, model)
  }
  breaker(model: Model) {
    return this.sources.breaker.state(this.backend.id, model.key)
  }
  owns(model: Model): boolean {
    return model.owners.has(this.backend.id)
  }
  memory(model: Model) {
    return this.sources.residency.memory(this.backend.id, model)
  }
  loadMillis(model: Model): number {
    return this.sources.residency.loadMillis(this.backend.id, model)
  }
  full(model: Model): boolean {
    if (this.streams >= this.backend.streamsMax) return true
    for (const { streams } of this.devices) if (streams >= this.backend.streamsMax) return true
    return this.streamsOf(model) >= this.limitOf(model)
  }
}
