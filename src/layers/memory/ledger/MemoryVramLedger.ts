/**
 * Charges the memory of devices to models, from readings of the devices. The allocations are kept in this process.
 *
 * @since 0.1.0
 */
import { ByteSize, Clock, Duration, Effect, Layer, Stream } from "effect"
import { Fleet } from "../../../services/Fleet.ts"
import { ModelFootprints, shapeOn } from "../../../services/Footprint.ts"
import { GpuProbe } from "../../../services/GpuProbe.ts"
import { needsResident } from "../../../services/Host.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"
import * as Outage from "../../../support/outage.ts"
import { Devices } from "./devices.ts"
import { LedgerBooks } from "./ledgerBooks.ts"
import * as Readings from "./readings.ts"
import * as Releases from "./releases.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /**
   * Bytes kept free on every device, because other processes may take memory that the ledger has promised. Defaults to
   * 2 GiB.
   */
  readonly reserve?: ByteSize.Input | undefined
  /** Memory of a device by UUID, where it cannot be read or less than all of it may be used. */
  readonly declared?: Readonly<Record<string, ByteSize.Input>> | undefined
  /** Time from the start of one reading to the start of the next. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** The same while memory is being released. Defaults to 250 milliseconds, as in Ollama. */
  readonly releaseInterval?: Duration.Input | undefined
  /** Time limit of one reading. Defaults to 2 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Longest wait for memory that is being released. Defaults to 5 seconds, as in Ollama. */
  readonly releaseTimeout?: Duration.Input | undefined
}

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
const bytesOf = (input: ByteSize.Input): number => ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))

/** A context for which every model has a footprint once it was described. */
const someContext = 4096

/** Reads the devices now and then: often while memory is being released, else each `interval`. */
const watch = (
  read: Effect.Effect<void>,
  releasing: () => boolean,
  { interval, now, releaseInterval }: {
    readonly interval: number
    readonly releaseInterval: number
    readonly now: () => number
  },
) =>
  Effect.gen(function* () {
    let next = now() + interval
    for (;;) {
      yield* Effect.sleep(releaseInterval)
      if (!releasing() && now() < next) continue
      next = now() + interval
      yield* read
    }
  })

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  yield* needsResident("MemoryVramLedger", "UnmanagedVramLedger")
  const fleet = yield* Fleet
  const probe = yield* GpuProbe
  const footprints = yield* ModelFootprints
  const clock = yield* Clock.Clock
  const releaseTimeout = millisOf(options?.releaseTimeout ?? "5 seconds")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "2 seconds")
  const devices = new Devices(
    options?.reserve === undefined ? 2 * 1024 ** 3 : bytesOf(options.reserve),
    Object.fromEntries(Object.entries(options?.declared ?? {}).map(([uuid, bytes]) => [uuid, bytesOf(bytes)])),
  )
  const listeners = yield* Listeners.logged<void>("device memory")
  const now = (): number => clock.currentTimeMillisUnsafe()
  const books = new LedgerBooks({ fleet, footprints, devices, now, changed: () => listeners.notify() })

  const read = Effect.gen(function* () {
    yield* Readings.read(probe, devices, books.held, books.nextSeq(), timeout, now)
    books.fitting.forget()
    Releases.finish(books.held, devices.accounts, now(), releaseTimeout)
    devices.prune(fleet.members().map(({ backend }) => backend))
    listeners.notify()
  })

  // The first reading comes before the first load.
  for (const { backend } of fleet.members()) devices.of(backend)
  yield* read
  const releasing = () => Array.from(books.held).some(({ current }) => current === "releasing")
  const times = {
    interval: millisOf(options?.interval ?? "5 seconds"),
    releaseInterval: millisOf(options?.releaseInterval ?? "250 millis"),
    now,
  }
  // One failed run must not end the readings: without them no memory would become free again.
  const contained = Outage.contained("a reading of the devices failed")(read)
  yield* Effect.forkScoped(watch(contained, releasing, times))
  // Devices that a backend gets while the router runs are read before a load can be promised memory on them.
  yield* Effect.forkScoped(Stream.runForEach(Stream.drop(fleet.changes, 1), (members) => {
    const unread = members.some(({ backend }) => devices.of(backend).some(({ limit }) => limit === undefined))
    return unread ? contained : Effect.sync(() => listeners.notify())
  }))

  return VramLedger.of({
    managed: (backend) => devices.managed(backend),
    prepare: (backend, model) =>
      devices.managed(backend) &&
        footprints.of(model, backend, shapeOn(backend, { context: someContext })) === undefined
        ? footprints.prepare(model, backend)
        : undefined,
    needs: (backend, model, numCtx) => devices.managed(backend) ? books.needs(backend, model, numCtx) : undefined,
    room: (backend) => devices.managed(backend) ? devices.sum(backend, "room") : undefined,
    limit: (backend) => devices.managed(backend) ? devices.sum(backend, "limit") : undefined,
    context: (backend, model) => books.charges.context(backend, model),
    reserve: (backend, model, numCtx) => books.reserve(backend, model, numCtx),
    adopt: (backend, model, observed) => books.adopt(backend, model, observed),
    observe: (allocation, model, observed) => books.observe(allocation, model, observed),
    allocations: () => books.allocations(),
    devices: () => books.statuses(),
    refresh: read,
    onChange: listeners.add,
  })
})

/**
 * Promises memory in one synchronous step. After every commit, on every device, the sum of the allocations is at most
 * `min(declared or total, last good free + our own) - reserve`.
 *
 * **Details**
 *
 * - Devices are those of `Backend.devices`, matched with readings by UUID. Several backends may share a device. A
 *   backend without devices may state its memory with a label (`memory: "24 GiB"`). Without either it is not managed.
 * - A failed reading changes nothing, so it never raises the capacity. A good reading can raise or lower it: memory
 *   that other processes take stops new loads.
 * - A model that is loading, or was loaded since the last good reading, has to fit into the free memory of that
 *   reading.
 * - Among several devices Ollama chooses by itself. The ledger charges the device with the most room, as Ollama
 *   would. It charges several only if no single one is large enough, and then all of them. Until a reading of all of
 *   them shows where the model really is, no other load is promised memory on any of them.
 * - A model that fits on no backend is charged all memory of the devices, once nothing else is charged there: Ollama
 *   fills them, and puts the other layers into system memory. `/api/ps` shows then what it has taken. If the model
 *   fits on another backend, it is refused here.
 * - A device that is unhealthy, or that the probe no longer lists beside the others, gets no new model. The other
 *   devices of the backend are used. Ollama may still use a device that is not listed, so a backend loads nothing
 *   while another one loads there, and another one loads nothing there until a reading shows what the backend has
 *   loaded meanwhile.
 * - An unloaded model stays charged until a reading shows 75 % of its memory as free, or 5 seconds have passed. If no
 *   reading succeeds meanwhile, a backend with one device then counts it as free; with several devices a reading is
 *   needed.
 * - Of two readings that overlap, the one that began later counts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<VramLedger, never, Fleet | GpuProbe | ModelFootprints> =>
  Layer.effect(VramLedger, make(options))
