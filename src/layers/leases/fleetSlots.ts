/**
 * The counters of the whole fleet: the live view.
 *
 * @since 0.1.0
 */
import type { Fleet, Member } from "../../services/Fleet.ts"
import type { FleetView } from "../../services/FleetView.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { DeviceStreams, Slots, type Sources } from "./slots.ts"

/** Follows the fleet; lists are made anew only when it, or what the catalog knows, has changed. @category models @since 0.1.0 */
export class FleetSlots implements FleetView {
  private readonly fleet: Fleet["Service"]
  private readonly sources: Sources
  private readonly known = new Map<string, Slots>()
  private readonly devices = new Map<string, DeviceStreams>()
  private members: ReadonlyArray<Member> | undefined = undefined
  private current: ReadonlyArray<Slots> = []
  private readonly ownersOf = new Map<string, ReadonlyArray<Slots>>()
  private ownersVersion = -1
  constructor(fleet: Fleet["Service"], sources: Sources) {
    this.fleet = fleet
    this.sources = sources
  }

  /** Counters outlive a change of the fleet: a backend that comes back under its id still has its running streams. */
  get backends(): ReadonlyArray<Slots> {
    const now = this.fleet.members()
    if (now === this.members) return this.current
    this.members = now
    this.ownersOf.clear()
    this.current = now.map((member) => {
      const slots = this.known.get(member.backend.id) ?? new Slots(member, this.sources)
      slots.member = member.state
      slots.backend = member.backend
      slots.devices = member.backend.devices.filter(isGpu).map((uuid) => this.device(uuid))
      this.known.set(member.backend.id, slots)
      return slots
    })
    for (const [id, slots] of this.known) {
      if (!this.current.includes(slots) && slots.streams === 0) this.known.delete(id)
    }
    return this.current
  }

  owners(model: Model): ReadonlyArray<Slots> {
    const all = this.backends
    const version = this.sources.catalog.version()
    if (this.ownersVersion !== version) {
      this.ownersVersion = version
      this.ownersOf.clear()
    }
    let found = this.ownersOf.get(model.key)
    if (found === undefined) {
      // A request that has waited holds the model as it was when it came.
      const latest = this.sources.catalog.peek(model.key) ?? model
      found = all.filter((slots) => slots.owns(latest))
      this.ownersOf.set(model.key, found)
    }
    return found
  }

  find(id: string): Slots | undefined {
    return this.backends.find((slots) => slots.backend.id === id)
  }

  /** Counted whether one backend uses it or several: another may come while streams run. */
  private device(uuid: string): DeviceStreams {
    let device = this.devices.get(uuid)
    if (device === undefined) this.devices.set(uuid, device = new DeviceStreams())
    return device
  }
}

/** The limit is one of GPUs; system memory serves as many as its backends allow. */
const isGpu = (uuid: string): boolean => !uuid.startsWith("system")
