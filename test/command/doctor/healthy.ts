/** A healthy set-up as observations, and functions that break it. */
import * as Settings from "../../../src/layers/Settings.ts"
import type {
  Device,
  Observations,
  ObservedBackend,
  ObservedEnvironment,
  ObservedHost,
  WantedModel,
  WhyNoAnswer,
} from "../../../src/command/doctor/observations.ts"
import { backend, type BackendInput } from "../../../src/services/Fleet.ts"
import type { PsModel, TagsModel } from "../../../src/services/OllamaApi.ts"

export const gib = 1024 ** 3

export const tag = (name: string, digest = "d".repeat(64)): TagsModel => ({ name, model: name, size: 5e9, digest })

export const ps = (name: string, more: Partial<PsModel> = {}): PsModel => ({
  name,
  model: name,
  size: 6 * gib,
  size_vram: 6 * gib,
  digest: "d".repeat(64),
  expires_at: "2026-01-01T00:05:00Z",
  context_length: 8192,
  ...more,
})

export const gpu = (uuid: string, more: Partial<Device> = {}): Device => ({
  uuid,
  name: "NVIDIA L4",
  kind: "gpu",
  total: 24 * gib,
  free: 16 * gib,
  fault: undefined,
  capability: 8.9,
  ...more,
})

const host = (name: string, uuid: string): ObservedHost => ({
  name,
  source: name === "localhost" ? "nvml" : "agent, nvml",
  devices: [gpu(uuid)],
  passedOver: [],
  driver: name === "localhost" ? { version: "580.95.05", cuda: "13.0" } : undefined,
})

const observed = (input: BackendInput, name: string): ObservedBackend => ({
  backend: backend(input),
  answer: { _tag: "Answered", status: 200, millis: 3, text: `{"version":"0.33.0"}`, skewMillis: 0 },
  version: "0.33.0",
  tags: [tag("llama3.1:8b"), tag("nomic-embed-text:latest", "e".repeat(64))],
  ps: [ps("llama3.1:8b")],
  host: name,
})

export const environment = (id: string, values: Readonly<Record<string, string>>): ObservedEnvironment => ({
  of: "ollama",
  from: `process ${id}`,
  backends: [id],
  values: { OLLAMA_NUM_PARALLEL: "4", ...values },
})

export const wanted = (name: string, more: Partial<WantedModel> = {}): WantedModel => ({
  name,
  key: name,
  required: true,
  planned: false,
  ...more,
})

/** Two backends on two machines with a GPU each, and everything known. Nothing is wrong with it. */
export const healthy: Observations = {
  settings: { values: { ...Settings.defaults, vram: true }, flaws: [] },
  fleetFlaw: undefined,
  backends: [
    observed({ url: "http://127.0.0.1:11434", id: "a" }, "localhost"),
    observed({ url: "http://10.0.0.5:11434", id: "b" }, "10.0.0.5"),
  ],
  hosts: [host("localhost", "GPU-a"), host("10.0.0.5", "GPU-b")],
  environments: [environment("a", {}), environment("b", {})],
  models: [wanted("llama3.1:8b")],
  footprints: [],
  router: undefined,
  openFiles: 65_536,
  inFront: { clientMillis: undefined, proxyMillis: undefined },
}

export type Change = (all: Observations) => Observations

/** Changes one backend. */
export const on = (id: string, change: (one: ObservedBackend) => Partial<ObservedBackend>): Change => (all) => ({
  ...all,
  backends: all.backends.map((one) => one.backend.id === id ? { ...one, ...change(one) } : one),
})

/** Changes the machine of backend a. */
export const here = (change: Partial<ObservedHost>): Change => (all) => ({
  ...all,
  hosts: all.hosts.map((one) => one.name === "localhost" ? { ...one, ...change } : one),
})

/** Sets variables of the Ollama of backend a. */
export const env = (values: Readonly<Record<string, string>>): Change => (all) => ({
  ...all,
  environments: all.environments.map((one) =>
    one.backends.includes("a") ? { ...one, values: { ...one.values, ...values } } : one
  ),
})

/** Changes settings of the router. */
export const set = (values: Partial<Settings.Settings>): Change => (all) => ({
  ...all,
  settings: { ...all.settings, values: { ...all.settings.values, ...values } },
})

/** Changes anything else. */
export const put = (change: Partial<Observations>): Change => (all) => ({ ...all, ...change })

/** Several changes, one after the other. */
export const both = (...changes: ReadonlyArray<Change>): Change => (all) =>
  changes.reduce((one, change) => change(one), all)

/** A backend that does not answer. */
export const silent = (why: WhyNoAnswer, id = "a"): Change =>
  on(id, () => ({
    answer: { _tag: "NoAnswer", why, description: `it is ${why}` },
    version: undefined,
    tags: undefined,
    ps: undefined,
  }))

/** What backend a answers instead of a version. */
export const answers = (status: number, text: string): Change =>
  on("a", () => ({
    answer: { _tag: "Answered", status, millis: 3, text, skewMillis: 0 },
    version: undefined,
    tags: undefined,
    ps: undefined,
  }))
