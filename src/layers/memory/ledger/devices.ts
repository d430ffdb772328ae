/**
 * The accounts of all devices, and which backend uses which devices.
 *
 * @since 0.1.0
 */
import { ByteSize, Option } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { DeviceAccount } from "./deviceAccount.ts"

/** @category models @since 0.1.0 */
export class Devices {
  readonly accounts: Map<string, DeviceAccount> = new Map()
  private readonly reserveBytes: number
  private readonly declared: Readonly<Record<string, number>>
  /** By backend as it was: after a change of its devices or labels it is another object. */
  private known = new WeakMap<Backend, ReadonlyArray<DeviceAccount>>()
  /** By id of a backend: the devices whose memory it states. */
  private readonly statedBy = new Map<string, ReadonlyArray<DeviceAccount>>()

  constructor(reserveBytes: number, declared: Readonly<Record<string, number>>) {
    this.reserveBytes = reserveBytes
    this.declared = declared
  }

  account(uuid: string): DeviceAccount {
    let account = this.accounts.get(uuid)
    if (account === undefined) {
      this.accounts.set(uuid, account = new DeviceAccount(uuid, this.reserveBytes))
      account.declared = this.declared[uuid]
    }
    return account
  }

  /**
   * The devices of a backend. Without named devices but with a label `memory` it has one device that no other backend
   * uses.
   */
  of(backend: Backend): ReadonlyArray<DeviceAccount> {
    let found = this.known.get(backend)
    if (found === undefined) this.known.set(backend, found = this.find(backend))
    return found
  }

  private find({ devices, id, labels: { memory } }: Backend): ReadonlyArray<DeviceAccount> {
    const uuids = devices.length > 0 ? devices : memory === undefined ? [] : [`memory of ${id}`]
    const accounts = uuids.map((uuid) => this.account(uuid))
    const size = memory === undefined ? undefined : Option.getOrUndefined(ByteSize.fromInput(memory as ByteSize.Input))
    this.state(id, accounts, size === undefined ? undefined : ByteSize.toNumberUnsafe(size))
    return accounts
  }

  /** A backend states the memory of its devices, now and no longer as before. Of several backends the least counts. */
  private state(id: string, accounts: ReadonlyArray<DeviceAccount>, bytes: number | undefined): void {
    const now = bytes === undefined ? [] : accounts
    for (const account of this.statedBy.get(id) ?? []) {
      if (!now.includes(account) && account.stated.delete(id)) this.applyStated(account)
    }
    this.statedBy.delete(id)
    if (bytes === undefined) return
    for (const account of now) {
      account.stated.set(id, bytes)
      this.applyStated(account)
    }
    this.statedBy.set(id, now)
  }

  private applyStated(account: DeviceAccount): void {
    const { stated, uuid } = account
    account.declared = this.declared[uuid] ?? (stated.size > 0 ? Math.min(...stated.values()) : undefined)
  }

  /** The devices of a backend that models can be put on; all of them if none can. */
  usable(backend: Backend): ReadonlyArray<DeviceAccount> {
    const those = this.of(backend)
    const usable = those.filter((account) => account.usable)
    return usable.length > 0 ? usable : those
  }

  /** The devices of a backend that the probe does not list beside its others. Ollama may still use them. */
  unlisted(backend: Backend): ReadonlyArray<DeviceAccount> {
    const usable = this.usable(backend)
    return this.of(backend).filter((account) => !account.unhealthy && !usable.includes(account))
  }

  /**
   * Forgets devices that no reading lists, no backend of the fleet uses and no allocation is charged on, and what
   * backends stated that are no longer in the fleet.
   */
  prune(backends: ReadonlyArray<Backend>): void {
    const used = new Set(backends.flatMap((backend) => this.of(backend)))
    const ids = new Set(backends.map(({ id }) => id))
    let changed = false
    for (const id of this.statedBy.keys()) if (!ids.has(id)) this.statedBy.delete(id)
    for (const [uuid, account] of this.accounts) {
      const gone = Array.from(account.stated.keys()).filter((id) => !ids.has(id))
      for (const id of gone) account.stated.delete(id)
      if (gone.length > 0) this.applyStated(account)
      const unused = account.failure !== "" && account.charges.size === 0 && !used.has(account)
      if (unused) this.accounts.delete(uuid)
      changed ||= unused || gone.length > 0
    }
    // A backend that comes back has to state its memory again, and to get accounts that are read.
    if (changed) this.known = new WeakMap()
  }

  /** Whether the memory of all devices of a backend is known. */
  managed(backend: Backend): boolean {
    const devices = this.of(backend)
    return devices.length > 0 && devices.every(({ limit }) => limit !== undefined)
  }

  /** The sum over the devices of a backend. A device whose value is below 0 counts as 0. */
  sum(backend: Backend, of: "room" | "limit"): number {
    return this.usable(backend).reduce((sum, account) => sum + Math.max(0, account[of] ?? 0), 0)
  }
}
