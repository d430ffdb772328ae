/** Control calls to invented servers: no sockets, time by Effect's clock. */
import { Clock, Context, Effect, Layer } from "effect"
import {
  OllamaApi,
  OllamaApiError,
  type PsModel,
  Rejected,
  type ShowModel,
  type TagsModel,
  Unreachable,
} from "../../src/services/OllamaApi.ts"

export interface FakeServer {
  up: boolean
  /** Milliseconds before any answer except a load's. */
  delay: number
  psDelay: number
  version: string
  models: Array<TagsModel>
  resident: Array<PsModel>
  loadMillis: number
  keepAliveMillis: number
  /** The answer to a load, instead of loading. */
  loadFailure: { readonly status: number; readonly description: string } | undefined
  spill: boolean
  show: (model: string) => ShowModel
  readonly calls: Array<string>
  loading: number
  loadingMost: number
}

export class FakeServers extends Context.Service<FakeServers, {
  readonly server: (id: string) => FakeServer
}>()("test/support/FakeServers") {}

export const tagsRow = (name: string, more: Partial<TagsModel> = {}): TagsModel => ({
  name,
  model: name,
  size: 4e9,
  digest: `manifest-${name}`,
  capabilities: ["completion"],
  ...more,
})

export const psRow = (name: string, expiresAt: number, more: Partial<PsModel> = {}): PsModel => ({
  name,
  model: name,
  size: 5e9,
  size_vram: 5e9,
  digest: `manifest-${name}`,
  expires_at: new Date(expiresAt).toISOString(),
  context_length: 4096,
  ...more,
})

export const layer: Layer.Layer<OllamaApi | FakeServers> = Layer.effectContext(Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const servers = new Map<string, FakeServer>()
  const server = (id: string): FakeServer => {
    let found = servers.get(id)
    if (found === undefined) {
      found = {
        up: true,
        delay: 0,
        psDelay: 0,
        version: "0.33.0",
        models: [],
        resident: [],
        loadMillis: 1000,
        keepAliveMillis: 300_000,
        loadFailure: undefined,
        spill: false,
        show: () => ({}),
        calls: [],
        loading: 0,
        loadingMost: 0,
      }
      servers.set(id, found)
    }
    return found
  }
  const call = <A>(backend: string, name: string, delay: (s: FakeServer) => number, answer: (s: FakeServer) => A) =>
    Effect.gen(function* () {
      const fake = server(backend)
      fake.calls.push(name)
      const down = () =>
        new OllamaApiError({
          backend,
          call: name,
          reason: new Unreachable({ description: "connection refused", refused: true }),
        })
      if (!fake.up) return yield* down()
      const millis = delay(fake)
      if (millis > 0) yield* Effect.sleep(millis)
      if (!fake.up) return yield* down()
      return answer(fake)
    })
  const slow = (fake: FakeServer) => fake.delay
  const api = OllamaApi.of({
    version: ({ id }) => call(id, "version", slow, (fake) => fake.version),
    tags: ({ id }) => call(id, "tags", slow, (fake) => fake.models.slice()),
    ps: ({ id }) => call(id, "ps", (fake) => fake.psDelay, (fake) => fake.resident.slice()),
    show: ({ id }, model) => call(id, `show ${model}`, slow, (fake) => fake.show(model)),
    load: ({ id }, model) =>
      Effect.gen(function* () {
        const fake = server(id)
        fake.loading++
        fake.loadingMost = Math.max(fake.loadingMost, fake.loading)
        yield* call(id, `load ${model}`, ({ loadMillis }) => loadMillis, () => {}).pipe(
          Effect.ensuring(Effect.sync(() => fake.loading--)),
        )
        if (fake.loadFailure !== undefined) {
          return yield* new OllamaApiError({ backend: id, call: "load", reason: new Rejected(fake.loadFailure) })
        }
        const expiresAt = clock.currentTimeMillisUnsafe() + fake.keepAliveMillis
        const digest = fake.models.find((row) => row.model === model)?.digest ?? `manifest-${model}`
        const row = psRow(model, expiresAt, { digest, ...(fake.spill ? { size_vram: 1e9 } : {}) })
        fake.resident = [...fake.resident.filter((other) => other.model !== model), row]
      }),
    unload: ({ id }, model) =>
      call(id, `unload ${model}`, slow, (fake) => {
        fake.resident = fake.resident.filter((row) => row.model !== model)
      }),
  })
  return Context.make(OllamaApi, api).pipe(Context.add(FakeServers, FakeServers.of({ server })))
}))
