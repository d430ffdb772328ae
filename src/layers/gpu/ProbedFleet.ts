/**
 * A fleet whose backends get their devices from the probe of their machine. It is in this room because it reads the
 * probes together and provides `GpuProbe` as well; the fleet itself can be any `Fleet` layer.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Layer, Stream, SubscriptionRef } from "effect"
import { type Backend, Fleet, type FleetError, type Member } from "../../services/Fleet.ts"
import { GpuProbe } from "../../services/GpuProbe.ts"
import * as Hosts from "./probes/hosts.ts"

/**
 * Which probe reads which machine.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R> {
  /** The backends. A backend that names its devices, or that gives its memory with the label `memory`, keeps that. */
  readonly fleet: Layer.Layer<Fleet, FleetError>
  /**
   * A probe for each host name in the backends' URLs. Every name of this machine counts as `localhost`. If two names
   * are for one host, the later one counts.
   */
  readonly hosts: Readonly<Record<string, Layer.Layer<GpuProbe, E, R>>>
  /**
   * Limit for one host. It must be shorter than the ledger's limit for a reading, so that a dead host does not delay
   * the others. Defaults to 1.5 seconds.
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The devices in which a backend puts models: the GPUs of its host; the system's memory where the host has none, or
 * with the label `device: "cpu"`.
 */
const devicesFor = (backend: Backend, seen: Hosts.Seen | undefined): ReadonlyArray<string> => {
  if (backend.devices.length > 0 || backend.labels["memory"] !== undefined || seen === undefined) return backend.devices
  return backend.labels["device"] === "cpu" || seen.gpus.length === 0 ? seen.system : seen.gpus
}

const make = Effect.fnUntraced(function* <E, R>({ fleet, hosts, timeout }: Options<E, R>) {
  const limit = Duration.fromInputUnsafe(timeout ?? "1500 millis")
  const plain = Context.get(yield* Layer.build(fleet), Fleet)
  const byName = new Map(Object.entries(hosts).map(([host, probe]) => [Hosts.nameOf(`http://${host}`), probe]))
  const probes = yield* Effect.forEach(
    byName,
    ([host, probe]) =>
      Effect.map(Layer.build(probe), (built) => new Hosts.Host(host, Context.get(built, GpuProbe), limit)),
  )
  const version = yield* SubscriptionRef.make(0)

  const read = Effect.gen(function* () {
    const all = yield* Effect.forEach(probes, (host) => host.read, { concurrency: "unbounded" })
    if (all.some(({ changed }) => changed)) yield* SubscriptionRef.update(version, (before) => before + 1)
    return yield* Hosts.joinReadings(all)
  })

  const made = new WeakMap<Member, { readonly seen: Hosts.Seen | undefined; readonly member: Member }>()
  const withDevices = (member: Member): Member => {
    const host = Hosts.nameOf(member.backend.url)
    const seen = probes.find(({ name }) => name === host)?.seen
    const before = made.get(member)
    if (before !== undefined && before.seen === seen) return before.member
    const devices = devicesFor(member.backend, seen)
    const next = devices === member.backend.devices ? member : { ...member, backend: { ...member.backend, devices } }
    made.set(member, { seen, member: next })
    return next
  }

  // The `Fleet` contract wants the same array until something changes.
  let last: { of: ReadonlyArray<Member>; version: number; members: ReadonlyArray<Member> } | undefined
  const members = (): ReadonlyArray<Member> => {
    const of = plain.members()
    const now = SubscriptionRef.getUnsafe(version)
    if (last?.of !== of || last.version !== now) last = { of, version: now, members: of.map(withDevices) }
    return last.members
  }

  // A host that does not answer now is read again with every later read.
  yield* Effect.ignore(read)
  return Context.make(
    Fleet,
    Fleet.of({
      members,
      changes: Stream.changes(
        Stream.map(Stream.merge(plain.changes, SubscriptionRef.changes(version)), () => members()),
      ),
      setState: plain.setState,
      reload: plain.reload,
    }),
  ).pipe(Context.add(GpuProbe, GpuProbe.of({ source: "hosts", read })))
})

/**
 * Joins a fleet with the probes of the machines it runs on: each backend gets the devices of its host, and `GpuProbe`
 * reads all hosts together.
 *
 * **Details**
 *
 * - A backend gets all GPUs of its host. A backend that may use only some of them (`CUDA_VISIBLE_DEVICES`) must name
 *   them in `devices`, by UUID.
 * - If a host does not answer, only its devices are missing, and `passedOver` names it. If no host answers, the read
 *   fails with a `GpuProbeError`. Until a host has answered once, the memory of its backends is not managed.
 * - A GPU that is lost stays a device of its backends, with its fault, so it gets no new model; the other GPUs do. One
 *   that was lost before it was ever read becomes a device when it can be read.
 * - Ids that are unique on one machine only (`system`, `pci-…`) get the suffix `@HOST`.
 *
 * **Gotchas**
 *
 * A host that has shown GPUs and then shows none keeps them: a probe that fell back to the system's memory does not
 * know where models are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>,
): Layer.Layer<Fleet | GpuProbe, E | FleetError, R> => Layer.effectContext(make(options))
