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
  readonly accounts = new Map<string, DeviceAccount>()
  private readonly reserveBytes: number
  private readonly declared: Readonly<Record<string, number>>

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
    const label = backend.labels["memory"]
    const uuids = backend.devices.length > 0 ? backend.devices : label === undefined ? [] : [`memory of ${backend.id}`]
    return uuids.map((uuid) => {
      const account = this.account(uuid)
      const declared = label === undefined
        ? undefined
        : Option.getOrUndefined(ByteSize.fromInput(label as ByteSize.Input))
      if (declared !== undefined) account.declared ??= ByteSize.toNumberUnsafe(declared)
      return account
    })
  }

  /** Forgets devices that no reading lists, no backend of the fleet uses and no allocation is charged on. */
  prune(backends: ReadonlyArray<Backend>): void {
    const used = new Set(backends.flatMap((backend) => this.of(backend)))
    for (const [uuid, account] of this.accounts) {
      if (account.failure !== "" && account.charges.size === 0 && !used.has(account)) this.accounts.delete(uuid)
    }
  }

  /** Whether the memory of all devices of a backend is known. */
  managed(backend: Backend): boolean {
    const devices = this.of(backend)
    return devices.length > 0 && devices.every(({ limit }) => limit !== undefined)
  }

  /** The sum over the devices of a backend. A device whose value is below 0 counts as 0. */
  sum(backend: Backend, of: "room" | "limit"): number {
    return this.of(backend).reduce((sum, account) => sum + Math.max(0, account[of] ?? 0), 0)
  }
}
