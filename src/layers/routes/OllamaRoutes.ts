/**
 * The read-only part of Ollama's API, answered for the whole fleet: version, tags, ps, show, status, `/v1/models` and
 * `/v1/models/:model`.
 *
 * @since 0.1.0
 */
import { ByteSize, Duration, Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { CurrentGrant, notFor, permits } from "../../services/ApiKeys.ts"
import { BackendHealth } from "../../services/BackendHealth.ts"
import type { Backend, Fleet } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { canonical } from "../../services/ModelName.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import type { Call, Transport } from "../../services/Transport.ts"
import * as Fanout from "./fanout.ts"
import * as Named from "./bodyWithModel.ts"
import * as Respond from "./respond.ts"
import * as Rows from "./mergedLists.ts"
import * as Version from "./version.ts"

/** The lowest version in the fleet: a client can rely on it on every backend. */
const makeVersion = Effect.fnUntraced(function* (fanout: Fanout.Fanout, limit: Duration.Duration) {
  const health = yield* BackendHealth
  const api = yield* OllamaApi
  const asked = (backend: Backend) => Effect.option(Effect.timeout(api.version(backend), limit))
  return Effect.gen(function* () {
    const known = fanout.backends().map((backend) => health.status(backend.id)).filter(({ state }) =>
      state === "healthy"
    )
    let versions = known.flatMap(({ version }) => version === undefined ? [] : [version])
    if (versions.length === 0) {
      const answers = yield* Effect.forEach(fanout.backends(), asked, { concurrency: 32 })
      versions = answers.flatMap(Option.toArray)
    }
    const version = Version.lowest(versions)
    return version === undefined ? Respond.unreachable() : Respond.json(JSON.stringify({ version }))
  })
})

interface List {
  readonly path: string
  readonly key: string
  readonly id: (row: Rows.Row) => string
  readonly rank: (row: Rows.Row) => number
  readonly render: (rows: ReadonlyArray<Rows.Row>) => HttpServerResponse.HttpServerResponse
  readonly failed: typeof Respond.error
}

const model = (row: Rows.Row): string => canonical(Rows.text(row, "model") || Rows.text(row, "name"))
const joined = (rows: ReadonlyArray<Rows.Row>): string => rows.map((row) => row.text).join(",")

/** Newest first. Where two backends have the same model, the row comes from the backend that changed it last. */
const tags: List = {
  path: "/api/tags",
  key: "models",
  id: model,
  rank: (row) => Rows.millis(row, "modified_at"),
  render: (rows) => Respond.json(`{"models":[${joined(rows)}]}`),
  failed: Respond.error,
}

/**
 * Latest expiry first, one row for each model, from the backend that keeps it longest. Sizes are not added up, because
 * the sum would describe no existing runner. `/metrics` shows the memory on each backend.
 */
const ps: List = { ...tags, path: "/api/ps", rank: (row) => Rows.millis(row, "expires_at") }

const openAiModels: List = {
  path: "/v1/models",
  key: "data",
  id: (row) => canonical(Rows.text(row, "id")),
  rank: (row) => typeof row.fields["created"] === "number" ? row.fields["created"] : 0,
  // As Ollama writes it: `null` instead of an empty list, and a newline at the end.
  render: (rows) =>
    Respond.json(
      `{"object":"list","data":${rows.length === 0 ? "null" : `[${joined(rows)}]`}}\n`,
      200,
      "application/json",
    ),
  failed: Respond.errorOpenAi,
}

/** Bytes of lists that are read in one turn of the event loop: a few milliseconds. */
const turnBytes = 128 * 1024

const merged = Effect.fnUntraced(function* (fanout: Fanout.Fanout, list: List) {
  const grant = yield* CurrentGrant
  const answers = yield* fanout.all(Fanout.get(list.path))
  const union = new Rows.Union(list.id, list.rank)
  let bytes = 0
  for (const { body } of answers) {
    const rows = Rows.read(body, list.key)
    if (rows !== undefined) union.add(rows)
    bytes += body.length
    if (bytes < turnBytes) continue
    bytes = 0
    yield* Effect.yieldNow
  }
  if (union.lists === 0) return Respond.unreachable(list.failed)
  const { rows } = union
  return list.render(grant === undefined ? rows : rows.filter((row) => permits(grant, list.id(row))))
})

const showMax = ByteSize.mebibytes(1)

/** Asks the owners. Where the catalog knows none, it asks any backend, and the client gets that backend's error. */
const askOwners = (fanout: Fanout.Fanout, catalog: ModelCatalog["Service"], name: string, call: Call) =>
  Effect.flatMap(name === "" ? Effect.succeedNone : Effect.option(catalog.find(name)), (found) => {
    const backends = fanout.backends()
    const owners = Option.isNone(found) ? [] : backends.filter((backend) => found.value.owners.has(backend.id))
    return owners.length > 0 ? fanout.first(owners, call) : fanout.first(backends, call, Fanout.unlessServerError)
  })

const makeShow = (fanout: Fanout.Fanout, bodyLimit: ByteSize.ByteSize) =>
  Effect.map(ModelCatalog, (catalog) =>
    Named.answer(
      bodyLimit,
      Effect.fnUntraced(function* (body) {
        const name = Named.model(Named.fields(body))
        if (!permits(yield* CurrentGrant, name)) return Respond.error(403, notFor(name))
        const answer = yield* askOwners(fanout, catalog, name, {
          method: "POST",
          path: "/api/show",
          headers: ["content-type", "application/json"],
          body: new TextEncoder().encode(body),
        })
        return answer === undefined ? Respond.unreachable() : Fanout.passOn(answer)
      }),
    ))

/** `/v1/models/:model`, from a backend that has the model. */
const makeOpenAiModel = (fanout: Fanout.Fanout) =>
  Effect.map(ModelCatalog, (catalog) =>
    Effect.gen(function* () {
      const { model = "" } = yield* HttpRouter.params
      if (!permits(yield* CurrentGrant, model)) return Respond.errorOpenAi(403, notFor(model))
      const call = Fanout.get(`/v1/models/${encodeURIComponent(model)}`)
      const answer = yield* askOwners(fanout, catalog, model, call)
      return answer === undefined ? Respond.unreachable(Respond.errorOpenAi) : Fanout.passOn(answer)
    }))

/**
 * Whether cloud models are switched off, from the first backend that answers. Older versions have no such call and no
 * cloud models.
 */
const status = (fanout: Fanout.Fanout) =>
  Effect.map(
    fanout.first(fanout.backends(), Fanout.get("/api/status")),
    (answer) => answer === undefined ? Respond.unreachable() : Fanout.passOn(answer),
  )

/**
 * Ollama's read-only routes over the fleet.
 *
 * **Details**
 *
 * A list is the union of the backends' lists, with one row for each canonical model. A backend that does not answer in
 * time is missing from it; if none answers, the status is 503. Rows are the bytes that the backends sent. If the
 * caller's key is for some models only, other models are missing from lists, and get 403 by name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Longest wait for one backend's answer. Defaults to 5 seconds. */
  readonly answerMax?: Duration.Input | undefined
  /**
   * Largest body of `/api/show`. Defaults to 1 MiB, which is also the most that counts: it is a name and a few options,
   * and servers do not count these bodies.
   */
  readonly bodyLimit?: ByteSize.ByteSize | undefined
}): Layer.Layer<
  never,
  never,
  HttpRouter.HttpRouter | Fleet | BackendHealth | OllamaApi | ModelCatalog | Transport
> =>
  HttpRouter.use(Effect.fnUntraced(function* (router) {
    const limit = Duration.fromInputUnsafe(options?.answerMax ?? "5 seconds")
    const fanout = yield* Fanout.make(limit)
    const version = yield* makeVersion(fanout, limit)
    const show = yield* makeShow(fanout, ByteSize.min(options?.bodyLimit ?? showMax, showMax))
    const openAiModel = yield* makeOpenAiModel(fanout)
    const running = HttpServerResponse.text("Ollama is running", { contentType: "text/plain; charset=utf-8" })
    yield* router.addAll([
      ...Respond.on(["HEAD", "GET"], "/", running),
      ...Respond.on(["HEAD", "GET"], "/api/version", version),
      ...Respond.on(["HEAD", "GET"], "/api/tags", merged(fanout, tags)),
      ...Respond.on(["GET"], "/api/ps", merged(fanout, ps)),
      ...Respond.on(["GET"], "/api/status", status(fanout)),
      ...Respond.on(["POST"], "/api/show", show),
      ...Respond.on(["GET"], "/v1/models", merged(fanout, openAiModels)),
      ...Respond.on(["GET"], "/v1/models/:model", openAiModel),
    ])
  }))
