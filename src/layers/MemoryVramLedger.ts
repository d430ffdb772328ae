/**
 * The ledger of this process: device memory promised once, over readings of the devices.
 *
 * @since 0.1.0
 */
import { ByteSize, Clock, Duration, Effect, Layer, Option, Result } from "effect"
import { type Backend, Fleet } from "../services/Fleet.ts"
import { ModelFootprints, shapeOn } from "../services/Footprint.ts"
import { GpuProbe, type GpuReading } from "../services/GpuProbe.ts"
import type { Model } from "../services/ModelCatalog.ts"
import { type Allocation, type DeviceStatus, type NoRoom, VramLedger } from "../services/VramLedger.ts"
import { automaticContext, sane } from "./internal/automaticContext.ts"
import { ChargedAllocation } from "./internal/chargedAllocation.ts"
import { DeviceBook } from "./internal/deviceBook.ts"
import { type Fit, fit } from "./internal/fit.ts"
import * as Listeners from "./internal/listeners.ts"
import { isLoading, PlainAllocations } from "./internal/plainAllocations.ts"

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

/** So much of a release has to be back before it is believed: Ollama's own measure (`server/sched.go`). */
const releasedPart = 0.75
/** Charged for a model that could not be described: its file and a quarter, and 2 GiB for the rest; an assumption on the careful side. */
const undescribed = (size: number): number | undefined => size > 0 ? size * 1.25 + 2 * 1024 ** 3 : undefined

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
const bytesOf = (input: ByteSize.Input): number => ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const fleet = yield* Fleet
  const probe = yield* GpuProbe
  const footprints = yield* ModelFootprints
  const clock = yield* Clock.Clock
  const reserveBytes = options?.reserve === undefined ? 2 * 1024 ** 3 : bytesOf(options.reserve)
  const interval = millisOf(options?.interval ?? "5 seconds")
  const releaseInterval = millisOf(options?.releaseInterval ?? "250 millis")
  const releaseTimeout = millisOf(options?.releaseTimeout ?? "5 seconds")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "2 seconds")
  const books = new Map<string, DeviceBook>()
  const held = new Set<ChargedAllocation>()
  const listeners = Listeners.make<void>()
  /** The context that backends chose by themselves, as `/api/ps` showed it. */
  const contexts = new Map<string, number>()
  /** Orders readings and what becomes resident. */
  let seq = 0
  /** The last load that ended without having been charged, from before a device could be read. */
  let plainSeq = -1
  const plain = new PlainAllocations(() => {
    plainSeq = ++seq
  })

  const bookOf = (uuid: string): DeviceBook => {
    let book = books.get(uuid)
    if (book === undefined) {
      books.set(uuid, book = new DeviceBook(uuid, reserveBytes))
      const declared = options?.declared?.[uuid]
      if (declared !== undefined) book.declared = bytesOf(declared)
    }
    return book
  }

  /** A backend whose devices are not named may still say how much memory it has: one device that nobody else uses. */
  const devicesOf = (backend: Backend): ReadonlyArray<DeviceBook> => {
    const label = backend.labels["memory"]
    const uuids = backend.devices.length > 0 ? backend.devices : label === undefined ? [] : [`memory of ${backend.id}`]
    return uuids.map((uuid) => {
      const book = bookOf(uuid)
      const declared = label === undefined
        ? undefined
        : Option.getOrUndefined(ByteSize.fromInput(label as ByteSize.Input))
      if (declared !== undefined) book.declared ??= ByteSize.toNumberUnsafe(declared)
      return book
    })
  }

  const managed = (backend: Backend): boolean => {
    const devices = devicesOf(backend)
    return devices.length > 0 && devices.every(({ limit }) => limit !== undefined)
  }

  const context = (backend: Backend, model: Model): number | undefined =>
    contexts.get(`${backend.id} ${model.key}`) ??
      automaticContext(
        backend,
        devicesOf(backend),
        footprints.geometry(model, backend)?.contextTrained ?? model.contextTrained,
      )

  const charge = (backend: Backend, model: Model, numCtx: number | undefined, devices: number): number | undefined => {
    const tokens = sane(
      numCtx ?? context(backend, model),
      footprints.geometry(model, backend)?.contextTrained ?? model.contextTrained,
    )
    const split = backend.labels["device"] === "cpu" ? {} : { devices }
    const known = tokens === undefined
      ? undefined
      : footprints.of(model, backend, shapeOn(backend, { context: tokens, ...split }))
    return known?.reserve ?? undescribed(model.owners.get(backend.id)?.size ?? 0)
  }

  const fits = (backend: Backend, model: Model, numCtx: number | undefined): Fit => {
    const devices = devicesOf(backend)
    return fit(
      devices,
      (count) => charge(backend, model, numCtx, count) ?? Math.max(...devices.map((d) => d.limit ?? 0)),
    )
  }

  const allocate = (backend: string, model: string, numCtx: number | undefined, fitting: Fit & { _tag: "Fits" }) => {
    const allocation = new ChargedAllocation(backend, model, numCtx, "reserved", fitting.shares, books, owner)
    held.add(allocation)
    return allocation
  }

  const forget = (allocation: ChargedAllocation): void => {
    allocation.seen.clear()
    allocation.leave()
    held.delete(allocation)
    listeners.notify()
  }

  const owner = {
    moved: (allocation: ChargedAllocation, from: string): void => {
      const to = allocation.current
      if (to === "resident" && from === "loading") allocation.residentSeq = ++seq
      if (to === "releasing") {
        allocation.releasingAt = clock.currentTimeMillisUnsafe()
        allocation.releasingSeq = ++seq
        for (const device of allocation.seen) {
          const free = books.get(device)?.free
          if (free !== undefined) allocation.freeBefore.set(device, free)
        }
        // From now on its memory may be among what the next reading calls free: it no longer counts as seen.
        allocation.seen.clear()
      }
      if (to === "gone") forget(allocation)
    },
  }

  /** Whether the memory on its way back is there, or has been waited for long enough. */
  const released = (allocation: ChargedAllocation, now: number): boolean => {
    if (now - allocation.releasingAt >= releaseTimeout) return true
    return allocation.freeBefore.size > 0 && allocation.parts.every(({ bytes, device }) => {
      const book = books.get(device)
      const before = allocation.freeBefore.get(device)
      return book?.free !== undefined && before !== undefined && book.readSeq > allocation.releasingSeq &&
        book.free - before >= releasedPart * bytes
    })
  }

  const releaseAll = (): void => {
    const now = clock.currentTimeMillisUnsafe()
    for (const allocation of Array.from(held)) {
      if (allocation.current !== "releasing" || !released(allocation, now)) continue
      for (const { bytes, device } of allocation.parts) {
        const book = books.get(device)
        // Nothing was read since, so what was known to be its memory is taken for free.
        const unread = book !== undefined && book.readSeq < allocation.releasingSeq
        if (unread && allocation.freeBefore.has(device)) book.assumeBack(bytes)
      }
      allocation.move("gone")
    }
  }

  /** A good reading of one device; whether it was one. */
  const take = (reading: GpuReading, begun: number, now: number): boolean => {
    const number = (value: Option.Option<ByteSize.ByteSize>) =>
      Option.getOrUndefined(Option.map(value, ByteSize.toNumberUnsafe))
    const free = number(reading.free)
    const book = bookOf(reading.uuid)
    book.sick = Option.isSome(reading.health) && reading.health.value._tag === "Unhealthy"
    if (free === undefined) {
      book.total ??= number(reading.total)
      book.failure = "free memory is not readable"
      return false
    }
    book.read(number(reading.total), free, now, begun)
    for (const allocation of held) {
      if (allocation.on(reading.uuid) === 0) continue
      const steady = allocation.current === "resident" || allocation.current === "draining"
      if (steady && allocation.residentSeq < begun) allocation.seen.add(reading.uuid)
      else allocation.seen.delete(reading.uuid)
    }
    book.account()
    return true
  }

  const read = Effect.gen(function* () {
    const begun = ++seq
    const result = yield* probe.read.pipe(
      Effect.catchDefect((defect) => Effect.fail({ message: String(defect) })),
      Effect.timeoutOption(timeout),
      Effect.result,
    )
    const now = clock.currentTimeMillisUnsafe()
    const readings = Result.isSuccess(result) ? Option.getOrUndefined(result.success)?.devices : undefined
    const good = new Set<string>()
    for (const reading of readings ?? []) if (take(reading, begun, now)) good.add(reading.uuid)
    for (const [uuid, book] of books) {
      if (good.has(uuid) || readings?.some((reading) => reading.uuid === uuid) === true) continue
      book.failure = Result.isFailure(result)
        ? result.failure.message || "the probe failed"
        : readings === undefined
        ? "the probe did not answer in time"
        : "the probe does not list it"
    }
    releaseAll()
    listeners.notify()
  })

  // The first reading comes before anything is loaded.
  for (const { backend } of fleet.members()) devicesOf(backend)
  yield* read
  const watch = Effect.gen(function* () {
    let next = clock.currentTimeMillisUnsafe() + interval
    for (;;) {
      yield* Effect.sleep(releaseInterval)
      const releasing = Array.from(held).some(({ current }) => current === "releasing")
      if (!releasing && clock.currentTimeMillisUnsafe() < next) continue
      next = clock.currentTimeMillisUnsafe() + interval
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
    needs: (backend, model, numCtx) => managed(backend) ? charge(backend, model, numCtx, 1) : undefined,
    room: (backend) =>
      managed(backend) ? devicesOf(backend).reduce((sum, { room }) => sum + Math.max(0, room ?? 0), 0) : undefined,
    limit: (backend) =>
      managed(backend) ? devicesOf(backend).reduce((sum, { limit }) => sum + Math.max(0, limit ?? 0), 0) : undefined,
    context: (backend, model) => context(backend, model),
    reserve: (backend, model, numCtx): Allocation | NoRoom => {
      if (!managed(backend)) return plain.reserve(backend, model.key)
      // What was loaded uncharged has to be in a reading before anything is promised.
      const uncharged = Array.from(plain.held).some((one) => isLoading(one.state())) ||
        devicesOf(backend).some(({ free, readSeq }) => free !== undefined && readSeq < plainSeq)
      if (uncharged) return { _tag: "NoRoom", reason: "the devices have to be read again", freeing: [], never: false }
      const found = fits(backend, model, numCtx)
      return found._tag === "Fits" ? allocate(backend.id, model.key, numCtx, found) : found
    },
    adopt: (backend, model, { sizeVram }) => {
      if (!managed(backend)) return plain.adopt(backend, model)
      const devices = devicesOf(backend)
      // Nobody says on which of its devices Ollama put it: on all of them, as far as the ledger can tell.
      const shares = devices.map(({ uuid }) => ({ device: uuid, bytes: Math.ceil(sizeVram / devices.length) }))
      const allocation = new ChargedAllocation(backend.id, model, undefined, "resident", shares, books, owner)
      allocation.residentSeq = ++seq
      held.add(allocation)
      return allocation
    },
    observe: (allocation, model, observed) => {
      if (!(allocation instanceof ChargedAllocation)) return
      const backend = fleet.members().find((member) => member.backend.id === allocation.backend)?.backend
      if (backend === undefined || observed.sizeVram === 0) return
      const tokens = sane(observed.contextLength, undefined)
      if (observed.automatic && tokens !== undefined) contexts.set(`${backend.id} ${allocation.model}`, tokens)
      if (model === undefined || tokens === undefined) {
        return allocation.resize(Math.max(allocation.bytes, observed.sizeVram))
      }
      const shape = shapeOn(backend, {
        context: tokens,
        ...(backend.labels["device"] === "cpu" ? {} : { devices: allocation.parts.length }),
      })
      const { after } = footprints.learn(model, backend, shape, { size: observed.size, sizeVram: observed.sizeVram })
      allocation.resize(Math.max(observed.sizeVram, after?.reserve ?? allocation.bytes))
    },
    allocations: () => [...held, ...plain.held],
    devices: () =>
      Array.from(books.values(), (book): DeviceStatus => ({
        device: book.uuid,
        backends: fleet.members().filter(({ backend }) => devicesOf(backend).includes(book)).map(({ backend }) =>
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
 * - A model goes on the device with the least room that suffices; over several only if no single one would do, all shares or none.
 * - What is unloaded stays charged until 75 % of it is back in a reading, or 5 s have passed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<VramLedger, never, Fleet | GpuProbe | ModelFootprints> =>
  Layer.effect(VramLedger, make(options))
