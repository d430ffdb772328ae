/** A router over a simulated fleet of three backends, under the conditions of one seed. */
import { ByteSize, Effect, Layer, Logger, Option } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as BoundedAdmission from "../../layers/admission/BoundedAdmission.ts"
import * as LocalBreaker from "../../layers/breaker/LocalBreaker.ts"
import * as SynchronousRouterEvents from "../../layers/events/SynchronousRouterEvents.ts"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import * as MemoryLeases from "../../layers/leases/MemoryLeases.ts"
import * as MemoryVramLedger from "../../layers/memory/ledger/MemoryVramLedger.ts"
import * as UnmanagedVramLedger from "../../layers/memory/ledger/UnmanagedVramLedger.ts"
import * as PollingResidency from "../../layers/memory/residency/PollingResidency.ts"
import * as Standard from "../../layers/Standard.ts"
import * as CostAwareVictimPicker from "../../plugins/victims/CostAwareVictimPicker.ts"
import type { ModelFootprints } from "../../services/Footprint.ts"
import { GpuProbe, GpuProbeError, Timeout } from "../../services/GpuProbe.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../simulated/SimulatedGpuProbe.ts"
import * as SimulatedModelFootprints from "../../simulated/SimulatedModelFootprints.ts"
import * as SimulatedOllamaApi from "../../simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../simulated/SimulatedTransport.ts"
import type { Bounds } from "../invariants/all.ts"
import type { Watch } from "../invariants/watch.ts"
import * as Watched from "../invariants/watched.ts"
import { chats } from "./calls.ts"

export const ids = ["a", "b", "c"]
export const url = (id: string): string => `http://${id}:11434`
export const gibibyte = 1024 ** 3
const cardBytes = 24 * gibibyte

/** The defaults of the shipped layers: `MemoryVramLedger`, `BoundedAdmission` and `FailoverRetry`. */
export const shippedBounds: Bounds = {
  reserve: 2 * gibibyte,
  queueCapacity: 128,
  queueBytes: 256 * 1024 ** 2,
  ageMillis: 10_000,
  attempts: 3,
}
/** The bounds of the admission that is used where the caller puts in none: small, so that they are reached. */
const smallBounds: Bounds = { ...shippedBounds, queueCapacity: 40, queueBytes: 16 * 1024 }

/** Two of them fit a card beside the reserve, so four models on three cards have to make room for each other. */
const models = [
  ...chats.map((name, i) => SimulatedFleet.Model.model({ name, size: (7 + i) * gibibyte, answer: 3 })),
  SimulatedFleet.Model.model({ ...SimulatedFleet.Model.tinyEmbed, name: "compass", embeddingLength: 4 }),
]

/** How the readings of the GPUs are wrong. */
export interface Gpus {
  probe: "good" | "fails" | "hangs" | "slow" | "missing"
  /** Bytes that other processes hold, by backend id. */
  readonly foreign: Map<string, number>
}

const ownDevice = (id: string): string => SimulatedGpuProbe.uuid(url(id), 0)
/** With a shared card the backend `b` runs on the card of `a`. */
const deviceOf = (id: string, shared: boolean): string => ownDevice(shared && id === "b" ? "a" : id)

const bytesOf = (size: Option.Option<ByteSize.ByteSize>): number =>
  Option.match(size, { onNone: () => 0, onSome: (bytes) => Number(ByteSize.toNumberUnsafe(bytes)) })

const probe = (gpus: Gpus, shared: boolean, watch: Watch) =>
  Layer.effect(
    GpuProbe,
    Effect.map(GpuProbe, (inner) => {
      const read = Effect.map(inner.read, (answer) => ({
        ...answer,
        devices: answer.devices.flatMap((reading) => {
          const id = ids.find((id) => ownDevice(id) === reading.uuid)!
          if (gpus.probe === "missing" && id === "b") return []
          if (deviceOf(id, shared) !== reading.uuid) return []
          const taken = ids.filter((other) => deviceOf(other, shared) === reading.uuid).reduce(
            (sum, other) => {
              const used = other === id
                ? 0
                : bytesOf(answer.devices.find(({ uuid }) => uuid === ownDevice(other))!.used)
              return sum + used + (gpus.foreign.get(other) ?? 0)
            },
            0,
          )
          const free = Math.max(0, bytesOf(reading.free) - taken)
          watch.tell("read", { device: reading.uuid, total: cardBytes, free })
          return [{ ...reading, free: Option.some(ByteSize.bytes(free)) }]
        }),
      }))
      const failed = Effect.fail(
        new GpuProbeError({ source: "simulated", reason: new Timeout({ description: "the driver does not answer" }) }),
      )
      return {
        source: inner.source,
        read: Effect.suspend(() =>
          gpus.probe === "fails"
            ? failed
            : gpus.probe === "hangs"
            ? Effect.andThen(Effect.sleep(5000), failed)
            : gpus.probe === "slow"
            ? Effect.andThen(Effect.sleep(1500), read)
            : read
        ),
      }
    }),
  ).pipe(Layer.provide(SimulatedGpuProbe.layer))

/** An error in the log is a fault of the router: what backends do wrong is never logged as one. */
const logger = (watch: Watch) =>
  Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel === "Error" || logLevel === "Fatal") {
      watch.violations.push({ invariant: 0, checker: "log", what: String(message) })
    }
  })])

/** What differs between seeds. */
export interface Conditions {
  /** Whether the router manages the memory of the backends. */
  readonly managed: boolean
  /** Whether two backends share a card. */
  readonly shared: boolean
  /** Whether the network cuts what backends send in the middle of records. */
  readonly splits: boolean
  /** What the layers of the stack are bounded by. */
  readonly bounds: Bounds
}

/** The conditions of a seed. `given` are bounds of layers that the caller puts in. */
export const conditionsOf = (seed: number, subjects: Subjects, given: Partial<Bounds> = {}): Conditions => {
  const own = subjects.admission === undefined
  // Waiting moves requests to a better class in every third seed only. The other seeds have long queues of one class.
  const ageMillis = own && seed % 3 !== 0 ? Infinity : shippedBounds.ageMillis
  return {
    managed: seed % 2 === 0,
    shared: seed % 4 === 0,
    splits: seed % 5 === 0,
    bounds: { ...(own ? smallBounds : shippedBounds), ageMillis, ...given },
  }
}

type At<K extends keyof Standard.Places, More = never> = Layer.Layer<
  Standard.Places[K][0],
  unknown,
  Standard.Places[K][1] | More
>

/**
 * Layers to put in place of the shipped ones. They keep their own configuration. Say what they are bounded by in
 * `Options.bounds`, where it differs from the defaults of the shipped layers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subjects {
  readonly admission?: At<"admission">
  readonly breaker?: At<"breaker">
  readonly catalog?: At<"catalog">
  readonly coalescer?: At<"coalescer">
  readonly health?: At<"health">
  /** Used in the even seeds only, in which memory is managed. */
  readonly ledger?: At<"ledger", GpuProbe | ModelFootprints>
  readonly leases?: At<"leases">
  readonly placement?: At<"placement">
  readonly relay?: At<"relay">
  readonly residency?: At<"residency">
  readonly router?: At<"router">
  readonly tokens?: At<"tokens">
}

export const stack = (
  { bounds, managed, shared, splits }: Conditions,
  subjects: Subjects,
  gpus: Gpus,
  watch: Watch,
) => {
  const { ageMillis, queueBytes, queueCapacity } = bounds
  const server: SimulatedFleet.ServerOptions = {
    models,
    decodeRate: 200,
    loadTime: "700 millis",
    overhead: "5 millis",
    parallelism: 4,
    callsMax: 0,
    contextLength: 4096,
    ...(managed ? { gpus: [cardBytes], loadBandwidth: 8 * gibibyte, releaseTime: "300 millis" } : {}),
  }
  const { admission, breaker, ledger, leases, residency, ...unwatched } = subjects
  const managing: At<"ledger", GpuProbe | ModelFootprints> = ledger ?? MemoryVramLedger.layer()
  return Standard.layer({
    events: SynchronousRouterEvents.layer,
    ...unwatched,
    breaker: Watched.breaker(watch)(
      breaker ?? LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory())),
    ),
    leases: Watched.leases(watch)(leases ?? MemoryLeases.layer),
    residency: Watched.residency(watch)(
      residency ?? PollingResidency.layer({ victims: CostAwareVictimPicker.make() }),
    ),
    ledger: Watched.ledger(watch)(managed ? managing : UnmanagedVramLedger.layer),
    admission: Watched.admission(watch)(
      admission ?? BoundedAdmission.layer({ queueCapacity, queueBytes, ageMillis: Math.min(ageMillis, 1e12) }),
    ),
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      SimulatedTransport.layer.pipe(Watched.transport(watch, splits)),
      SimulatedOllamaApi.layer.pipe(Watched.api(watch)),
      probe(gpus, shared, watch),
      SimulatedModelFootprints.layer,
    )),
    Layer.provideMerge(StaticFleet.layer(ids.map((id) => ({
      url: url(id),
      id,
      parallelism: 4,
      devices: managed ? [deviceOf(id, shared)] : [],
      labels: { "context-length": "4096" },
    })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(ids.map((id) => [url(id), server])))),
    Layer.provideMerge(logger(watch)),
  )
}
