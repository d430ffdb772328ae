/**
 * The accounts of all devices, and which backend uses which.
 *
 * @since 0.1.0
 */
import { ByteSize, Option } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { DeviceBook } from "./deviceBook.ts"

/** @category models @since 0.1.0 */
export class Devices {
  readonly books = new Map<string, DeviceBook>()
  private readonly reserveBytes: number
  private readonly declared: Readonly<Record<string, number>>

  constructor(reserveBytes: number, declared: Readonly<Record<string, number>>) {
    this.reserveBytes = reserveBytes
    this.declared = declared
  }

  book(uuid: string): DeviceBook {
    let book = this.books.get(uuid)
    if (book === undefined) {
      this.books.set(uuid, book = new DeviceBook(uuid, this.reserveBytes))
      book.declared = this.declared[uuid]
    }
    return book
  }

  /** A backend whose devices are not named may still say how much memory it has: one device that nobody else uses. */
  of(backend: Backend): ReadonlyArray<DeviceBook> {
    const label = backend.labels["memory"]
    const uuids = backend.devices.length > 0 ? backend.devices : label === undefined ? [] : [`memory of ${backend.id}`]
    return uuids.map((uuid) => {
      const book = this.book(uuid)
      const declared = label === undefined
        ? undefined
        : Option.getOrUndefined(ByteSize.fromInput(label as ByteSize.Input))
      if (declared !== undefined) book.declared ??= ByteSize.toNumberUnsafe(declared)
      return book
    })
  }

  managed(backend: Backend): boolean {
    const devices = this.of(backend)
    return devices.length > 0 && devices.every(({ limit }) => limit !== undefined)
  }

  /** Over all devices of a backend; a device that is short of memory takes nothing from the others. */
  sum(backend: Backend, of: "room" | "limit"): number {
    return this.of(backend).reduce((sum, book) => sum + Math.max(0, book[of] ?? 0), 0)
  }
}
