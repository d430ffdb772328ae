/** A big fleet in one process, without sockets: every call is answered in a later turn of the event loop. */
import { Effect, Layer, Option, References } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import type { Model } from "../../src/services/ModelCatalog.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { OllamaApi, type PsModel, type TagsModel } from "../../src/services/OllamaApi.ts"
import type { Demand } from "../../src/services/RoutedRequest.ts"
import { Transport } from "../../src/services/Transport.ts"

export const backendsOf = 1000
export const modelsOf = 200
/** A twentieth of the fleet has these, and one backend the last. */
export const twentieth = "twentieth:1b"
export const single = "single:1b"
/** Every backend has these two in memory. */
export const resident = "model-0:8b"
const alsoResident = "model-1:8b"
/** Every backend has this on its disk, and none in memory. */
export const cold = "model-2:8b"

export const ids = Array.from({ length: backendsOf }, (_, i) => `backend-${i}`)

const digestOf = (name: string): string => Buffer.from(name.padEnd(32, ".")).toString("hex")
const details = {
  parent_model: "",
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameter_size: "8.0B",
  quantization_level: "Q4_K_M",
  context_length: 131072,
}
const tagsRow = (name: string): TagsModel => ({
  name,
  model: name,
  modified_at: "2026-01-02T03:04:05.678901234Z",
  size: 4_920_753_328,
  digest: digestOf(name),
  details,
  capabilities: ["completion", "tools"],
})
const psRow = (name: string): PsModel => ({
  name,
  model: name,
  size: 6_000_000_000,
  digest: digestOf(name),
  details,
  expires_at: "2318-10-11T03:04:05.678901234Z",
  size_vram: 6_000_000_000,
  context_length: 8192,
})

/** The rows of one backend. The two rare models take the places of two of the 200. */
const namesOn = (index: number): ReadonlyArray<string> => [
  ...Array.from({ length: modelsOf - 2 }, (_, i) => `model-${i}:8b`),
  ...(index % 20 === 0 ? [twentieth] : []),
  ...(index === 0 ? [single] : []),
]
const residentOn = (index: number): ReadonlyArray<string> => [
  resident,
  alsoResident,
  ...(index % 20 === 0 ? [twentieth] : []),
  ...(index === 0 ? [single] : []),
]
const indexOf = (id: string): number => Number(id.slice("backend-".length))

/** Answers that come in one turn of the event loop, as from sockets. */
const answersPerTurn = 8
const waiting: Array<() => void> = []
const answer = (): void => {
  for (const each of waiting.splice(0, answersPerTurn)) each()
  if (waiting.length > 0) setImmediate(answer)
}
const soon = (each: () => void): void => {
  if (waiting.push(each) === 1) setImmediate(answer)
}

const later = <A>(value: () => A): Effect.Effect<A> =>
  Effect.callback((resume) => soon(() => resume(Effect.succeed(value()))))

const listedRows = new Map<number, ReadonlyArray<TagsModel>>()
/** New objects, as every answer has them. */
const tagsOn = (index: number): ReadonlyArray<TagsModel> => {
  const like = index === 0 ? 0 : index % 20 === 0 ? 20 : 1
  if (!listedRows.has(like)) listedRows.set(like, namesOn(like).map(tagsRow))
  return listedRows.get(like)!.map((row) => ({ ...row, capabilities: ["completion", "tools"] }))
}

export const api: Layer.Layer<OllamaApi> = Layer.succeed(OllamaApi, {
  version: () => later(() => "0.34.1"),
  tags: ({ id }) => later(() => tagsOn(indexOf(id))),
  ps: ({ id }) => later(() => residentOn(indexOf(id)).map(psRow)),
  show: (_backend, name) => later(() => ({ modelfile: `FROM /blobs/sha256-${digestOf(name)}\n` })),
  // A load that does not end: the requests wait for it.
  load: () => Effect.never,
  unload: () => later(() => undefined),
})

const bodyOf = (rows: ReadonlyArray<unknown>): Uint8Array => Buffer.from(JSON.stringify({ models: rows }))
const upstream = { pause: () => {}, resume: () => {}, abort: () => {} }
const bodies = new Map<string, Uint8Array>()
const body = (path: string, index: number): Uint8Array => {
  const key = `${path} ${index % 20 === 0 ? index : 1}`
  let made = bodies.get(key)
  if (made === undefined) {
    made = path === "/api/ps" ? bodyOf(residentOn(index).map(psRow)) : bodyOf(namesOn(index).map(tagsRow))
    bodies.set(key, made)
  }
  return made
}

export const transport: Layer.Layer<Transport> = Layer.succeed(Transport, {
  send: ({ id }, { path }, to) => {
    to.open(upstream)
    soon(() => {
      to.head(200, ["Content-Type", "application/json; charset=utf-8"])
      to.data(body(path, indexOf(id)))
      to.end()
    })
  },
})

export const fleetOf = (backends: number) =>
  StaticFleet.layer(
    ids.slice(0, backends).map((id, i) => ({
      url: `http://10.0.${i >> 8}.${i & 255}:11434`,
      id,
      parallelism: 1,
      devices: [`GPU-${i}`],
    })),
  )
export const fleet = fleetOf(backendsOf)

export const quiet = Layer.succeed(References.MinimumLogLevel, "Error" as const)

/** A catalog that was read already: 200 models of 1,000 backends. */
export const makeCatalog = () => {
  const owners = new Map<string, Map<string, { readonly digest: string; readonly size: number }>>()
  for (const [index, id] of ids.entries()) {
    for (const name of namesOn(index)) {
      if (!owners.has(name)) owners.set(name, new Map())
      owners.get(name)!.set(id, { digest: digestOf(name), size: 4_920_753_328 })
    }
  }
  const models = new Map(
    Array.from(owners, ([key, of]): [string, Model] => [
      key,
      { key, owners: of, capabilities: ["completion"], remote: false, contextTrained: 131072 },
    ]),
  )
  let version = 0
  return {
    changed: () => version++,
    get: (key: string): Model => models.get(key)!,
    models: Array.from(models.values()),
    layer: Layer.succeed(ModelCatalog, {
      peek: (name) => models.get(name),
      find: (name) => Effect.succeed(models.get(name)!),
      models: () => Array.from(models.values()),
      blob: (model, backend) => Option.map(Option.fromUndefinedOr(model.owners.get(backend)), ({ digest }) => digest),
      version: () => version,
      forget: () => {},
      refresh: Effect.void,
    }),
  }
}

let demands = 0
export const demandOf = (model: Model, more?: Partial<Demand>): Demand => ({
  id: `d${++demands}`,
  kind: "chat",
  model,
  numCtx: undefined,
  promptTokens: 100,
  bytes: 400,
  tenant: "default",
  client: "@127.0.0.1",
  priority: "default",
  since: Date.now(),
  queueMillis: undefined,
  session: undefined,
  excluded: [],
  deadline: undefined,
  waiting: undefined,
  cold: undefined,
  tier: undefined,
  keepsNothing: false,
  loads: true,
  ...more,
})
