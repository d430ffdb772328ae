/**
 * The ledger of this process: device memory promised once, over readings of the devices.
 *
 * @since 0.1.0
 */
import { ByteSize, Clock, Duration, Effect, Layer } from "effect"
import { type Backend, Fleet } from "../../../services/Fleet.ts"
import { ModelFootprints, shapeOn } from "../../../services/Footprint.ts"
import { GpuProbe } from "../../../services/GpuProbe.ts"
import { needsResident } from "../../../services/Host.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import {
  type Allocation,
  type DeviceStatus,
  type NoRoom,
  type Share,
  VramLedger,
} from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"
import { bytesOn, Charges } from "./charge.ts"
import { ChargedAllocation } from "./chargedAllocation.ts"
import { Devices } from "./devices.ts"
import { type Fit, fit } from "./fit.ts"
import { isLoading, PlainAllocations } from "./plainAllocations.ts"
import * as Readings from "./readings.ts"
import * as Releases from "./releases.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Kept free on every device. Defaults to 2 GiB (the brief). */
  readonly reserve?: ByteSize.Input | undefined
  /** Memory of a device by UUID, where it cannot be read or less than all of it may be used. */
  readonly declared?: Readonly<Record<string, ByteSize.Input>> | undefined
  /** Between the starts of two readings. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** The same while memory is on its way back. Defaults to 250 milliseconds, as Ollama does. */
  readonly releaseInterval?: Duration.Input | undefined
  /** For one reading. Defaults to 2 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Longest time that memory on its way back is waited for. Defaults to 5 seconds, as Ollama does. */
  readonly releaseTimeout?: Duration.Input | undefined
}

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
const bytesOf = (input: ByteSize.Input): number => ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  yield* needsResident("MemoryVramLedger", "UnmanagedVramLedger")
  const fleet = yield* Fleet
  const probe = yield* GpuProbe
  const footprints = yield* ModelFootprints
  const clock = yield* Clock.Clock
  const interval = millisOf(options?.interval ?? "5 seconds")
  const releaseInterval = millisOf(options?.releaseInterval ?? "250 millis")
  const releaseTimeout = millisOf(options?.releaseTimeout ?? "5 seconds")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "2 seconds")
  const devices = new Devices(
    options?.reserve === undefined ? 2 * 1024 ** 3 : bytesOf(options.reserve),
    Object.fromEntries(Object.entries(options?.declared ?? {}).map(([uuid, bytes]) => [uuid, bytesOf(bytes)])),
  )
  const charges = new Charges(footprints, devices)
  const held = new Set<ChargedAllocation>()
  const listeners = Listeners.make<void>()
  const now = (): number => clock.currentTimeMillisUnsafe()
  /** Orders readings and what becomes resident. */
  let seq = 0
  /** The last load that ended without having been charged, from before a device could be read. */
  let plainSeq = -1
  const plain = new PlainAllocations(() => {
    plainSeq = ++seq
  })

  const managed = (backend: Backend): boolean => devices.managed(backend)
  const backendOf = (id: string): Backend | undefined =>
    fleet.members().find(({ backend }) => backend.id === id)?.backend

  const owner = {
    moved: (allocation: ChargedAllocation, from: string): void => {
      const to = allocation.current
      if (to === "resident" && from === "loading") allocation.residentSeq = ++seq
      if (to === "releasing") Releases.begin(allocation, devices.books, now(), ++seq)
      if (to !== "gone") return
      allocation.seen.clear()
      allocation.leave()
      held.delete(allocation)
      listeners.notify()
    },
  }

  const charge = (
    backend: Backend,
    model: string,
    numCtx: number | undefined,
    state: "reserved" | "resident",
    shares: ReadonlyArray<Share>,
  ): ChargedAllocation => {
    const allocation = new ChargedAllocation(backend.id, model, numCtx, state, shares, devices.books, owner)
    held.add(allocation)
    return allocation
  }

  const fits = (backend: Backend, model: Model, numCtx: number | undefined): Fit => {
    const those = devices.of(backend)
    return fit(
      those,
      (count) => charges.of(backend, model, numCtx, count) ?? Math.max(...those.map(({ limit }) => limit ?? 0)),
    )
  }

  const read = Effect.gen(function* () {
    yield* Readings.read(probe, devices, held, ++seq, timeout, now)
    Releases.settle(held, devices.books, now(), releaseTimeout)
    listeners.notify()
  })

  // The first reading comes before anything is loaded.
  for (const { backend } of fleet.members()) devices.of(backend)
  yield* read
  const watch = Effect.gen(function* () {
    let next = now() + interval
    for (;;) {
      yield* Effect.sleep(releaseInterval)
      const releasing = Array.from(held).some(({ current }) => current === "releasing")
      if (!releasing && now() < next) continue
      next = now() + interval
      yield* read
    }
  })
  yield* Effect.forkScoped(watch)

  return VramLedger.of({
    managed,
    prepare: (backend, model) =>
      managed(backend) && footprints.of(model, backend, shapeOn(backend, { context: 4096 })) === undefined
        ? footprints.prepare(model, backend)
        : undefined,
    needs: (backend, model, numCtx) => managed(backend) ? charges.of(backend, model, numCtx, 1) : undefined,
    room: (backend) => managed(backend) ? devices.sum(backend, "room") : undefined,
    limit: (backend) => managed(backend) ? devices.sum(backend, "limit") : undefined,
    context: (backend, model) => charges.context(backend, model),
    reserve: (backend, model, numCtx): Allocation | NoRoom => {
      if (!managed(backend)) return plain.reserve(backend, model.key)
      // What was loaded uncharged has to be in a reading before anything is promised.
      const uncharged = Array.from(plain.held).some((one) => isLoading(one.state())) ||
        devices.of(backend).some(({ free, readSeq }) => free !== undefined && readSeq < plainSeq)
      if (uncharged) return { _tag: "NoRoom", reason: "the devices have to be read again", freeing: [], never: false }
      const found = fits(backend, model, numCtx)
      return found._tag === "Fits" ? charge(backend, model.key, numCtx, "reserved", found.shares) : found
    },
    adopt: (backend, model, observed) => {
      if (!managed(backend)) return plain.adopt(backend, model)
      const those = devices.of(backend)
      // Nobody says on which of its devices Ollama put it: on all of them, as far as the ledger can tell.
      const shares = those.map(({ uuid }) => ({
        device: uuid,
        bytes: Math.ceil(bytesOn(backend, observed) / those.length),
      }))
      const allocation = charge(backend, model, undefined, "resident", shares)
      allocation.residentSeq = ++seq
      return allocation
    },
    observe: (allocation, model, observed) => {
      if (!(allocation instanceof ChargedAllocation)) return
      const backend = backendOf(allocation.backend)
      if (backend !== undefined) charges.observe(allocation, backend, model, observed)
    },
    allocations: () => [...held, ...plain.held],
    devices: () =>
      Array.from(devices.books.values(), (book): DeviceStatus => ({
        device: book.uuid,
        backends: fleet.members().filter(({ backend }) => devices.of(backend).includes(book)).map(({ backend }) =>
          backend.id
        ),
        declared: book.declared,
        total: book.total,
        free: book.free,
        capacity: book.capacity,
        held: book.held,
        foreign: book.foreign,
        readAt: book.readAt,
        failure: book.failure,
      })),
    refresh: read,
    onChange: (listener) => {
      const stops = [listeners.add(listener), plain.changed.add(listener)]
      return () => stops.forEach((stop) => stop())
    },
  })
})

/**
 * Promises memory in one synchronous step: at every commit, on every device, the sum of allocations is at most
 * `min(declared or total, last good free + our own) - reserve`.
 *
 * **Details**
 *
 * - Devices are those of `Backend.devices`, joined with readings by UUID; several backends may share one. A backend without devices may say how much
 *   memory it has with a label (`memory: "24 GiB"`). Where neither is known the backend is not managed.
 * - A reading that fails changes nothing, so raises nothing. A good one moves capacity either way: what other processes take stops new loads.
 * - What is being loaded, or was loaded since the last good reading, has to fit into what that reading called free.
 * - Of several devices Ollama chooses by itself: charged is the one with the most room, as Ollama would; over several only if no single one would do, all
 *   shares or none. Until a reading of all of them has shown where it really is, nothing else is promised on any of them.
 * - What is unloaded stays charged until 75 % of it is back in a reading, or 5 s have passed. While nothing can be read it is then free where the backend
 *   has one device; where it has several, only a reading says where.
 * - Of two readings that overlap, the one that began later counts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<VramLedger, never, Fleet | GpuProbe | ModelFootprints> =>
  Layer.effect(VramLedger, make(options))
