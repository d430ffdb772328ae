/**
 * Reads the state of the router. Synchronous; it takes longer with each backend and model.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Admission, type QueueSnapshot } from "../../../services/Admission.ts"
import { BackendHealth } from "../../../services/BackendHealth.ts"
import { Breaker } from "../../../services/Breaker.ts"
import { Fleet, type Member } from "../../../services/Fleet.ts"
import { Leases } from "../../../services/Leases.ts"
import { ModelCatalog } from "../../../services/ModelCatalog.ts"
import { type PlanStatus, Prewarmer } from "../../../services/Prewarmer.ts"
import { Residency, type ResidentModel } from "../../../services/Residency.ts"
import { Router } from "../../../services/Router.ts"
import { RouterEvents } from "../../../services/RouterEvents.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import type { OperatorPins } from "./pins.ts"
import type { BackendState, DeviceState, State } from "./states.ts"
import type { Traffic } from "./traffic.ts"

const seconds = (millis: number): number => Math.round(millis) / 1000
const time = (millis: number): string => new Date(millis).toISOString()
/** A `Date` has no times beyond this. */
const millisMax = 8.64e15

const queueOf = ({ bytes, classes, depth, model, oldestMillis, tenants, waitMillis }: QueueSnapshot) => ({
  model,
  depth,
  bytes,
  oldest_seconds: seconds(oldestMillis),
  estimated_wait_seconds: seconds(waitMillis),
  classes,
  tenants,
})

/** Streams that are shown one by one. */
const streamsMax = 100

const streamsOf = ({ leases, router }: Services): State["streams"] => {
  const { count, oldest } = router.underWay?.(streamsMax) ?? { count: leases.count(), oldest: [] }
  return {
    count,
    oldest: oldest.map(({ firstByteAt, leasedAt, receivedAt, ...one }) => ({
      id: one.id,
      route: one.route,
      model: one.model,
      tenant: one.tenant,
      backend: one.backend,
      received_at: time(receivedAt),
      since: time(leasedAt),
      first_byte_seconds: firstByteAt === undefined ? null : seconds(firstByteAt - leasedAt),
      bytes: one.bytes,
    })),
  }
}

const planOf = ({ failure, intervalMillis, models, plan, schedule, since }: PlanStatus): State["plans"][number] => ({
  plan,
  models,
  since: since === undefined ? null : time(since),
  every_seconds: seconds(intervalMillis),
  failure,
  schedule: schedule === undefined ? null : {
    models: schedule.models,
    active: schedule.active,
    last_at: schedule.lastAt === undefined ? null : time(schedule.lastAt),
    next_at: schedule.nextAt === undefined ? null : time(schedule.nextAt),
  },
})

const expiry = (at: number | undefined): string | null => at === undefined ? null : at >= millisMax ? "never" : time(at)

/** All services that the state is read from. @category models @since 0.1.0 */
export const services = Effect.gen(function* () {
  return {
    admission: yield* Admission,
    breaker: yield* Breaker,
    catalog: yield* ModelCatalog,
    clock: yield* Clock.Clock,
    events: yield* RouterEvents,
    fleet: yield* Fleet,
    health: yield* BackendHealth,
    leases: yield* Leases,
    ledger: yield* VramLedger,
    prewarmer: yield* Prewarmer,
    residency: yield* Residency,
    router: yield* Router,
  }
})

/** @category models @since 0.1.0 */
export type Services = Effect.Success<typeof services>

/** Functions that read parts of the state, and the whole. @category models @since 0.1.0 */
export type Reading = ReturnType<typeof make>

const residentOf = ({ catalog, leases, residency }: Services, one: ResidentModel, spills: ReadonlySet<string>) => {
  const model = catalog.peek(one.model)
  const view = leases.view.find(one.backend)
  return {
    model: one.model,
    state: one.state,
    size: one.size ?? null,
    size_vram: one.sizeVram ?? null,
    context: one.contextLength ?? null,
    expires_at: expiry(one.expiresAt),
    source: one.source,
    streams: model === undefined ? 0 : view?.streamsOf(model) ?? 0,
    streams_max: model === undefined ? 0 : view?.limitOf(model) ?? 0,
    pinned: model !== undefined && residency.pinned(one.backend, model),
    spilled: spills.has(one.model),
  }
}

const backendOf = (services: Services, pins: OperatorPins, { backend, state }: Member): BackendState => {
  const { breaker, health, leases, ledger, residency } = services
  const { id } = backend
  const status = health.status(id)
  const view = leases.view.find(id)
  const spills = new Set(residency.spills(id).map(({ model }) => model))
  return {
    id,
    url: backend.url,
    labels: backend.labels,
    weight: backend.weight,
    member: state,
    health: status.state,
    reason: status.reason,
    since: status.state === "unknown" ? null : time(status.since),
    version: status.version ?? null,
    breaker: breaker.state(id),
    streams: view?.streams ?? 0,
    streams_max: backend.streamsMax,
    first_byte_seconds: view?.firstByteMillis === undefined ? null : seconds(view.firstByteMillis),
    last_used_at: view === undefined || view.lastLeaseAt === 0 ? null : time(view.lastLeaseAt),
    devices: backend.devices,
    room: ledger.room(backend) ?? null,
    limit: ledger.limit(backend) ?? null,
    models: residency.list(id).map((one) => residentOf(services, one, spills)),
    pins: pins.of(id),
  }
}

const devicesOf = ({ ledger }: Services): ReadonlyArray<DeviceState> => {
  const models = new Map<string, Array<DeviceState["models"][number]>>()
  for (const allocation of ledger.allocations()) {
    for (const { bytes, device } of allocation.shares()) {
      const { backend, model } = allocation
      const listed = models.get(device) ?? []
      models.set(device, listed)
      listed.push({ backend, model, bytes, state: allocation.state() })
    }
  }
  return ledger.devices().map((one) => ({
    device: one.device,
    backends: one.backends,
    declared: one.declared ?? null,
    total: one.total ?? null,
    free: one.free ?? null,
    capacity: one.capacity ?? null,
    held: one.held,
    reserve: one.reserve ?? null,
    foreign: one.foreign ?? null,
    read_at: one.readAt === undefined ? null : time(one.readAt),
    failure: one.failure,
    models: models.get(one.device) ?? [],
  }))
}

const breakersOf = ({ breaker, catalog, fleet }: Services): State["breakers"] =>
  fleet.members().flatMap(({ backend: { id } }) => {
    const whole = breaker.state(id)
    const own = catalog.models().filter(({ key, owners }) =>
      owners.has(id) && whole === "closed" && breaker.state(id, key) !== "closed"
    )
    return [
      { backend: id, model: null, state: whole, retry_seconds: seconds(breaker.retryMillis(id, "")) },
      ...own.map(({ key }) => ({
        backend: id,
        model: key,
        state: breaker.state(id, key),
        retry_seconds: seconds(breaker.retryMillis(id, key)),
      })),
    ]
  })

/** @category constructors @since 0.1.0 */
export const make = (services: Services, pins: OperatorPins, traffic: Traffic, simulated: boolean) => {
  const { admission, catalog, clock, events, fleet, leases, prewarmer, router } = services
  const backends = () => fleet.members().map((member) => backendOf(services, pins, member))
  const queues = () => admission.queues().map(queueOf)
  const prewarm = () =>
    prewarmer.status().map(({ backend, model, plan, reason, since, state }) => ({
      plan,
      model,
      backend: backend ?? null,
      state,
      reason,
      since: since === undefined ? null : time(since),
    }))
  const streams = () => streamsOf(services)
  const plans = () => prewarmer.plans?.().map(planOf) ?? []
  return {
    backends,
    queues,
    prewarm,
    plans,
    streams,
    backend: (id: string): BackendState | undefined => {
      const member = fleet.members().find(({ backend }) => backend.id === id)
      return member === undefined ? undefined : backendOf(services, pins, member)
    },
    devices: () => devicesOf(services),
    breakers: () => breakersOf(services),
    models: () =>
      catalog.models().map(({ capabilities, contextTrained, key, owners, remote }) => ({
        model: key,
        remote,
        capabilities,
        context_trained: contextTrained ?? null,
        backends: Array.from(owners, ([backend, { digest, size }]) => ({ backend, digest, size })),
      })),
    state: (now = clock.currentTimeMillisUnsafe()): State => ({
      at: time(now),
      router: {
        draining: router.draining(),
        requests: router.active(),
        leases: leases.count(),
        prewarmed: prewarmer.ready(),
        events_lost: events.lost(),
        simulated,
      },
      traffic: traffic.sums(),
      latency: traffic.latency(now),
      streams: streams(),
      backends: backends(),
      devices: devicesOf(services),
      queues: queues(),
      breakers: breakersOf(services),
      prewarm: prewarm(),
      plans: plans(),
    }),
  }
}
