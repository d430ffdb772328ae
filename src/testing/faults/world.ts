/** A stack over a simulated fleet, under one seed's conditions. */
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
import * as SimulatedOllamaApi from "../../simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../simulated/SimulatedTransport.ts"
import * as SimulatedModelFootprints from "../../simulated/SimulatedModelFootprints.ts"
import type { Watch } from "../invariants/sights.ts"
import * as Watched from "../invariants/watched.ts"
import { chats } from "./calls.ts"

export const ids = ["a", "b", "c"]
export const url = (id: string): string => `http://${id}:11434`
export const gibibyte = 1024 ** 3
const cardBytes = 24 * gibibyte
export const reserve = 2 * gibibyte
export const queueCapacity = 40
export const queueBytes = 16 * 1024

/** Two fit a card beside the reserve, so four on three cards have to make room for each other. */
const models = [
  ...chats.map((name, i) => SimulatedFleet.Model.model({ name, size: (7 + i) * gibibyte, answer: 3 })),
  SimulatedFleet.Model.model({ ...SimulatedFleet.Model.tinyEmbed, name: "compass", embeddingLength: 4 }),
]

/** What goes wrong with the GPUs' readings. */
export interface Gpus {
  probe: "good" | "fails" | "hangs" | "slow" | "missing"
  /** Bytes that other processes hold, by backend id. */
  readonly foreign: Map<string, number>
}

const ownDevice = (id: string): string => SimulatedGpuProbe.uuid(url(id), 0)
/** With a shared card `b` runs on that of `a`. */
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

/** What is logged as an error is one of ours: the simulated backends' misbehaviour is not worth an error. */
const logger = (watch: Watch) =>
  Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel === "Error" || logLevel === "Fatal") {
      watch.violations.push({ invariant: 0, checker: "log", what: String(message) })
    }
  })])

export interface Conditions {
  /** Whether the router manages the backends' memory. */
  readonly managed: boolean
  /** Whether two of them have one card between them. */
  readonly shared: boolean
  /** Whether what backends send is torn in the middle of its records. */
  readonly torn: boolean
  /** Whether requests that wait go up a class in time, as they do by default. */
  readonly ages: boolean
  readonly gpus: Gpus
  readonly watch: Watch
}

type At<K extends keyof Standard.Places, More = never> = Layer.Layer<
  Standard.Places[K][0],
  unknown,
  Standard.Places[K][1] | More
>

/**
 * Layers to put in place of the shipped ones. They keep their own configuration, so what is bounded has to keep to the suite's bounds: 40 requests in a queue, 16 KiB
 * of waiting bodies, 3 attempts, a reserve of 2 GiB.
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
  /** Of the seeds in which memory is managed: the even ones. */
  readonly ledger?: At<"ledger", GpuProbe | ModelFootprints>
  readonly leases?: At<"leases">
  readonly placement?: At<"placement">
  readonly relay?: At<"relay">
  readonly residency?: At<"residency">
  readonly router?: At<"router">
  readonly tokens?: At<"tokens">
}

export const stack = ({ ages, gpus, managed, shared, torn, watch }: Conditions, subjects: Subjects) => {
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
      admission ?? BoundedAdmission.layer({ queueCapacity, queueBytes, ageMillis: ages ? undefined : 1e12 }),
    ),
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      SimulatedTransport.layer.pipe(Watched.transport(watch, torn)),
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
