/**
 * The state of the ledger and its synchronous operations: reserve, adopt, observe, and what releases give back.
 *
 * @since 0.1.0
 */
import type { Backend, Fleet } from "../../../services/Fleet.ts"
import type { ModelFootprints } from "../../../services/Footprint.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Allocation, DeviceStatus, NoRoom, Observed, Share } from "../../../services/VramLedger.ts"
import { memberOf } from "../../../support/memberOf.ts"
import { ChargedAllocation } from "./chargedAllocation.ts"
import type { DeviceAccount } from "./deviceAccount.ts"
import type { Devices } from "./devices.ts"
import { type Fit, fit, waiting, whole } from "./fit.ts"
import { Fitting } from "./fitting.ts"
import { bytesOn, LoadCharges } from "./loadCharge.ts"
import * as Releases from "./releases.ts"
import { isLoading, UnchargedAllocations } from "./unchargedAllocations.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly fleet: Fleet["Service"]
  readonly footprints: ModelFootprints["Service"]
  readonly devices: Devices
  /** Milliseconds by the router's clock. */
  readonly now: () => number
  /** Called when an allocation is gone. */
  readonly changed: () => void
}

/** @category models @since 0.1.0 */
export class LedgerBooks {
  readonly devices: Devices
  readonly charges: LoadCharges
  /** On which backends models fit. */
  readonly fitting: Fitting
  readonly held: Set<ChargedAllocation> = new Set()
  private readonly uncharged: UnchargedAllocations
  private readonly options: Options
  /** Numbers readings and the events between them, in their order. */
  private seq = 0
  /** When the last load ended that was not charged, because no device could be read at its start. */
  private unchargedSeq = -1

  constructor(options: Options) {
    this.options = options
    this.devices = options.devices
    this.charges = new LoadCharges(options.footprints, options.devices)
    this.fitting = new Fitting(options.fleet, this.charges)
    this.uncharged = new UnchargedAllocations(options.changed, () => {
      this.unchargedSeq = this.nextSeq()
    })
  }

  /** The number of a reading that begins now. */
  nextSeq(): number {
    return ++this.seq
  }

  reserve(backend: Backend, model: Model, numCtx: number | undefined): Allocation | NoRoom {
    if (!this.devices.managed(backend)) return this.uncharged.reserve(backend, model.key)
    // Before memory is promised, a reading has to include what was loaded without a charge.
    const unread = Array.from(this.uncharged.held).some((one) => isLoading(one.state())) ||
      this.devices.of(backend).some(({ free, readSeq }) => free !== undefined && readSeq < this.unchargedSeq)
    if (unread) return { _tag: "NoRoom", reason: "the devices have to be read again", freeing: [], never: false }
    const found = this.fits(backend, model, numCtx)
    // Ollama may still use a device that is not listed, so it must not count on memory that another load takes there.
    if (found._tag === "Fits" && this.devices.unlisted(backend).some(({ loading }) => loading)) return waiting
    return found._tag === "Fits" ? this.charge(backend, model.key, numCtx, "reserved", found.shares) : found
  }

  adopt(backend: Backend, model: string, observed: Observed): Allocation {
    if (!this.devices.managed(backend)) return this.uncharged.adopt(backend, model)
    const those = this.devices.usable(backend)
    // It is not known on which of its devices Ollama put the model, so all of them get an equal share.
    const bytes = Math.ceil(bytesOn(backend, observed) / those.length)
    const shares = those.map(({ uuid }) => ({ device: uuid, bytes }))
    const allocation = this.charge(backend, model, undefined, "resident", shares)
    allocation.residentSeq = this.nextSeq()
    return allocation
  }

  observe(allocation: Allocation, model: Model | undefined, observed: Observed): void {
    if (!(allocation instanceof ChargedAllocation)) return
    const member = memberOf(this.options.fleet.members(), allocation.backend)
    if (member === undefined) return
    this.charges.observe(allocation, member.backend, model, observed)
    this.fitting.forget()
  }

  allocations(): ReadonlyArray<Allocation> {
    return [...this.held, ...this.uncharged.held]
  }

  statuses(): ReadonlyArray<DeviceStatus> {
    const users = new Map<DeviceAccount, Array<string>>()
    for (const { backend } of this.options.fleet.members()) {
      for (const account of new Set(this.devices.of(backend))) {
        const known = users.get(account)
        if (known === undefined) users.set(account, [backend.id])
        else known.push(backend.id)
      }
    }
    return Array.from(this.devices.accounts.values(), (account): DeviceStatus => ({
      device: account.uuid,
      backends: users.get(account) ?? [],
      declared: account.declared,
      total: account.total,
      free: account.free,
      reserve: account.reserveBytes,
      capacity: account.capacity,
      held: account.held,
      foreign: account.foreign,
      readAt: account.readAt,
      failure: account.failure,
      sensors: account.sensors,
    }))
  }

  /** Called by an allocation after its state has changed. */
  readonly moved = (allocation: ChargedAllocation, from: string): void => {
    const to = allocation.current
    if (to === "resident" && from === "loading") allocation.residentSeq = this.nextSeq()
    if (to === "releasing") Releases.begin(allocation, this.devices.accounts, this.options.now(), this.nextSeq())
    if (to !== "gone") return
    allocation.seen.clear()
    allocation.leave()
    this.held.delete(allocation)
    this.options.changed()
  }

  private charge(
    backend: Backend,
    model: string,
    numCtx: number | undefined,
    state: "reserved" | "resident",
    shares: ReadonlyArray<Share>,
  ): ChargedAllocation {
    // On a device that is not listed it has no bytes. As it may be there, no other load may begin there meanwhile.
    const parts = [...shares, ...this.devices.unlisted(backend).map(({ uuid }) => ({ device: uuid, bytes: 0 }))]
    const allocation = new ChargedAllocation(backend.id, model, numCtx, state, parts, this.devices.accounts, this)
    this.held.add(allocation)
    return allocation
  }

  /**
   * Bytes that a load is charged. A model that fits nowhere is charged all memory of the devices, because Ollama then
   * puts some layers into system memory. Where another backend has room for the model, this one refuses it.
   */
  needs(backend: Backend, model: Model, numCtx: number | undefined): number | undefined {
    const need = this.charges.of(backend, model, numCtx, 1)
    if (need === undefined || this.fitting.on(backend, model, numCtx)) return need
    const limit = this.devices.sum(backend, "limit")
    return this.fitting.spills(backend, model, numCtx) ? limit : Math.max(need, limit + 1)
  }

  private fits(backend: Backend, model: Model, numCtx: number | undefined): Fit {
    const those = this.devices.usable(backend)
    if (this.fitting.spills(backend, model, numCtx)) return whole(those)
    const most = Math.max(...those.map(({ limit }) => limit ?? 0))
    return fit(those, (count) => this.charges.of(backend, model, numCtx, count) ?? most)
  }
}
