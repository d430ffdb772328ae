/**
 * `OllamaApi` of a simulated fleet, without sockets.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Schema } from "effect"
import { withAccess } from "../services/BackendAccess.ts"
import type { Backend } from "../services/Fleet.ts"
import {
  Malformed,
  OllamaApi,
  OllamaApiError,
  PsModel,
  Rejected,
  ShowModel,
  TagsModel,
  Unreachable,
} from "../services/OllamaApi.ts"
import { plain } from "./http/plain.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

interface Answer {
  readonly status: number
  readonly body: string
}

type Fleet = SimulatedFleet["Service"]

/** Makes one request and reads its whole answer. Interruption closes the connection, as it does for a real client. */
const ask = (fleet: Fleet, backend: Backend, method: string, path: string, request?: object) =>
  Effect.callback<Answer, Unreachable>((resume) => {
    const server = fleet.servers.get(backend.url)
    if (server === undefined) {
      return resume(Effect.fail(new Unreachable({ description: "connection refused", refused: true })))
    }
    const decoder = new TextDecoder()
    let status = 0
    let body = ""
    let abort: () => void = () => {}
    plain(server)({
      method,
      path,
      headers: withAccess(request === undefined ? [] : ["Content-Type", "application/json"], backend.access),
      body: request === undefined ? undefined : new TextEncoder().encode(JSON.stringify(request)),
    }, {
      open: (upstream) => abort = () => upstream.abort(),
      head: (code) => status = code,
      data: (chunk) => body += decoder.decode(chunk, { stream: true }),
      end: () => resume(Effect.succeed({ status, body })),
      fail: (reason, description) =>
        resume(Effect.fail(new Unreachable({ description, refused: reason === "Refused" }))),
    })
    return Effect.sync(() => abort())
  })

/** The time limit of the HTTP layer, for every call but a load. */
const limited = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E | Unreachable> =>
  Effect.timeoutOrElse(call, {
    duration: "5 seconds",
    orElse: () => Effect.fail(new Unreachable({ description: "no answer within 5s" })),
  })

const Problem = Schema.fromJsonString(Schema.Struct({ error: Schema.String }))
const Version = Schema.Struct({ version: Schema.String })
const Tags = Schema.Struct({ models: Schema.Array(TagsModel) })
const Ps = Schema.Struct({ models: Schema.Array(PsModel) })
const Done = Schema.Struct({})

const make = (fleet: Fleet): OllamaApi["Service"] => {
  const call = <A>(
    backend: Backend,
    name: string,
    schema: Schema.Codec<A, unknown>,
    method: string,
    path: string,
    request?: object,
  ): Effect.Effect<A, OllamaApiError> =>
    ask(fleet, backend, method, path, request).pipe(
      Effect.flatMap(({ status, body }): Effect.Effect<A, Rejected | Malformed> =>
        status === 200
          ? Effect.mapError(
            Schema.decodeEffect(Schema.fromJsonString(schema))(body),
            (issue) => new Malformed({ description: issue.message }),
          )
          : Effect.flatMap(
            Effect.match(Schema.decodeEffect(Problem)(body), {
              onFailure: () => body,
              onSuccess: ({ error }) => error,
            }),
            (description) => Effect.fail(new Rejected({ status, description })),
          )
      ),
      name === "load" ? (loading) => loading : limited,
      Effect.mapError((reason) => new OllamaApiError({ backend: backend.id, call: name, reason })),
      Effect.withSpan(`OllamaApi.${name}`),
    )
  return OllamaApi.of({
    version: (backend) =>
      Effect.map(call(backend, "version", Version, "GET", "/api/version"), ({ version }) => version),
    tags: (backend) => Effect.map(call(backend, "tags", Tags, "GET", "/api/tags"), ({ models }) => models),
    ps: (backend) => Effect.map(call(backend, "ps", Ps, "GET", "/api/ps"), ({ models }) => models),
    show: (backend, model, options) => call(backend, "show", ShowModel, "POST", "/api/show", { model, ...options }),
    load: (backend, model, { embedder, keepAlive, numCtx }) =>
      Effect.asVoid(call(backend, "load", Done, "POST", embedder ? "/api/embed" : "/api/generate", {
        model,
        ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
        ...(numCtx === undefined ? {} : { options: { num_ctx: numCtx } }),
      })),
    unload: (backend, model, _options) =>
      // Works for embedding models too: Ollama handles the unload before it checks what the model can do.
      Effect.asVoid(call(backend, "unload", Done, "POST", "/api/generate", { model, keep_alive: 0 })),
  })
}

/**
 * Control calls to the simulated servers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OllamaApi, never, SimulatedFleet> = Layer.effect(
  OllamaApi,
  Effect.map(SimulatedFleet, make),
)
