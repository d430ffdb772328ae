/** Parts of the state of a router, with the fields that a test names. */
import type { BackendState, DeviceState, State, TrafficState } from "../../src/layers/routes/AdminApi.ts"
import { device as deviceOf } from "./pageState.ts"

export const traffic = (fields: Partial<TrafficState> = {}): TrafficState => ({
  requests: 0,
  answered: 0,
  refused: 0,
  canceled: 0,
  failed: 0,
  shed: 0,
  retries: 0,
  cold: 0,
  prompt_tokens: 0,
  answer_tokens: 0,
  bytes_out: 0,
  queued_seconds: 0,
  first_byte_seconds: 0,
  first_bytes: 0,
  total_seconds: 0,
  ...fields,
})

export const device = (name: string, fields: Partial<DeviceState> = {}): DeviceState => deviceOf(name, fields)

export const resident = (
  model: string,
  fields: Partial<BackendState["models"][number]> = {},
): BackendState["models"][number] => ({
  model,
  state: "resident",
  size: 5 * 2 ** 30,
  size_vram: 5 * 2 ** 30,
  context: 8192,
  expires_at: null,
  source: "observed",
  streams: 0,
  streams_max: 4,
  pinned: false,
  spilled: false,
  ...fields,
})

export const backend = (id: string, fields: Partial<BackendState> = {}): BackendState => ({
  id,
  url: `http://${id}:11434`,
  labels: {},
  weight: 1,
  member: "active",
  health: "healthy",
  reason: "",
  since: null,
  version: "0.33.0",
  breaker: "closed",
  streams: 0,
  streams_max: 8,
  first_byte_seconds: null,
  last_used_at: null,
  devices: [],
  room: null,
  limit: null,
  models: [],
  pins: [],
  ...fields,
})

/** The parts that commands show; a router may tell more. */
export const state = (fields: Partial<State> = {}): State => ({
  at: "2026-01-01T00:00:00.000Z",
  router: { draining: false, requests: 0, leases: 0, prewarmed: true, events_lost: 0 },
  traffic: traffic(),
  backends: [],
  devices: [],
  queues: [],
  breakers: [],
  prewarm: [],
  ...fields,
} as State)
