/** Parts of the state that the status page gets, with the fields that a test names. */
import type { BackendState, DeviceState, State } from "../../page/state.ts"

export const device = (name: string, fields: Partial<DeviceState> = {}): DeviceState => ({
  device: name,
  backends: [],
  declared: null,
  total: 100,
  free: null,
  capacity: null,
  held: 0,
  reserve: null,
  foreign: null,
  read_at: null,
  failure: "",
  models: [],
  ...fields,
})

export const backend = (id: string, fields?: Partial<BackendState>): BackendState => ({
  id,
  url: `http://${id}`,
  labels: {},
  weight: 1,
  member: "active",
  health: "healthy",
  reason: "",
  since: null,
  version: null,
  breaker: "closed",
  streams: 0,
  streams_max: 4,
  first_byte_seconds: null,
  last_used_at: null,
  devices: [`GPU-${id}`],
  room: null,
  limit: null,
  models: [],
  pins: [],
  ...fields,
})

const quantiles = { measured: 0, p50_seconds: null, p95_seconds: null, p99_seconds: null }

export const state = (fields?: Partial<State>): State => ({
  at: "2026-01-01T00:00:00.000Z",
  router: { draining: false, requests: 0, leases: 0, prewarmed: true, events_lost: 0, simulated: false },
  traffic: {} as State["traffic"],
  latency: { window_seconds: 60, routing: quantiles, queue: quantiles, first_byte: quantiles },
  streams: { count: 0, oldest: [] },
  backends: [backend("a"), backend("b"), backend("c")],
  devices: [device("GPU-a"), device("GPU-b"), device("GPU-c")],
  queues: [],
  breakers: [],
  prewarm: [],
  plans: [],
  ...fields,
})
