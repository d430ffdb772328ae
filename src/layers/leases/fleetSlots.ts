/**
 * The counters of the whole fleet: the live view.
 *
 * @since 0.1.0
 */
import type { Fleet, Member } from "../../services/Fleet.ts"
import type { FleetView } from "../../services/FleetView.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { BackendSlots, DeviceStreams, type StillTime, type ViewServices } from "./backendSlots.ts"

/** Only GPUs have a limit of streams. In system memory each backend has its own limit. */
const isGpu = (uuid: string): boolean => !uuid.startsWith("system")

/**
 * Follows the fleet. The lists are made again only after the fleet, or the content of the catalog, has changed.
 *
 * @category models
 * @since 0.1.0
 */
export class FleetSlots implements FleetView {
  private readonly fleet: Fleet["Service"]
  private readonly services: ViewServices
  private readonly known = new Map<string, BackendSlots>()
  private readonly devices = new Map<string, DeviceStreams>()
  private members: ReadonlyArray<Member> | undefined = undefined
  private current: ReadonlyArray<BackendSlots> = []
  /** `current` by id. */
  private present: ReadonlyMap<string, BackendSlots> = new Map()
  private readonly ownersOf = new Map<string, ReadonlyArray<BackendSlots>>()
  private ownersVersion = -1
  private readonly time: StillTime = { moment: undefined }
  private moments = 0
  constructor(fleet: Fleet["Service"], services: ViewServices) {
    this.fleet = fleet
    this.services = services
  }

  /** Counters outlive a change of the fleet: a backend that comes back under its id still has its running streams. */
  get backends(): ReadonlyArray<BackendSlots> {
    const now = this.fleet.members()
    if (now === this.members) return this.current
    this.members = now
    this.ownersOf.clear()
    this.current = now.map((member) => {
      const slots = this.known.get(member.backend.id) ?? new BackendSlots(member, this.services, this.time)
      slots.member = member.state
      slots.backend = member.backend
      slots.devices = member.backend.devices.filter(isGpu).map((uuid) => this.device(uuid))
      this.known.set(member.backend.id, slots)
      return slots
    })
    this.present = new Map(this.current.map((slots) => [slots.backend.id, slots]))
    for (const [id, slots] of this.known) {
      if (!this.present.has(id) && slots.streams === 0) this.known.delete(id)
    }
    const used = new Set(Array.from(this.known.values()).flatMap(({ devices }) => devices))
    for (const [uuid, device] of this.devices) if (!used.has(device)) this.devices.delete(uuid)
    return this.current
  }

  owners(model: Model): ReadonlyArray<BackendSlots> {
    const all = this.backends
    const version = this.services.catalog.version()
    if (this.ownersVersion !== version) {
      this.ownersVersion = version
      this.ownersOf.clear()
    }
    let found = this.ownersOf.get(model.key)
    if (found === undefined) {
      // A request that has waited holds the model as the catalog knew it when the request arrived.
      const latest = this.services.catalog.peek(model.key) ?? model
      found = all.filter((slots) => slots.owns(latest))
      this.ownersOf.set(model.key, found)
    }
    return found
  }

  find(id: string): BackendSlots | undefined {
    if (this.fleet.members() !== this.members) void this.backends
    return this.present.get(id)
  }

  get moment(): number | undefined {
    return this.time.moment
  }

  still<A>(read: () => A): A {
    if (this.time.moment !== undefined) return read()
    this.time.moment = ++this.moments
    try {
      return read()
    } finally {
      this.time.moment = undefined
    }
  }

  /** Counted also when only one backend uses the device, because another one may join while streams run. */
  private device(uuid: string): DeviceStreams {
    let device = this.devices.get(uuid)
    if (device === undefined) this.devices.set(uuid, device = new DeviceStreams())
    return device
  }
}
