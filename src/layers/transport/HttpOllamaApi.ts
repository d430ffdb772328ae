/**
 * Control calls to Ollama over HTTP.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import type { Backend } from "../../services/Fleet.ts"
import { type LoadOptions, OllamaApi, type ShowOptions } from "../../services/OllamaApi.ts"
import { Transport } from "../../services/Transport.ts"
import * as Exchanges from "./exchanges.ts"
import * as Answers from "./ollamaAnswers.ts"
import * as Calls from "./ollamaCalls.ts"

/** The body of a load or an unload. */
const residencyBody = (model: string, keepAlive: number | undefined, numCtx: number | undefined) => ({
  model,
  ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
  ...(numCtx === undefined ? {} : { options: { num_ctx: numCtx } }),
})

const make = (exchange: Calls.Exchange, timeout: Duration.Duration) => {
  const { limited, read, send } = Calls.make(exchange, timeout)

  const embed = (backend: Backend, call: string, body: object) => send(backend, call, Calls.post("/api/embed", body))

  /**
   * Loads or unloads a model with an empty prompt. Embedding models need `/api/embed` for a load. Not for an unload:
   * `/api/embed` would load a model that is not in memory, and `/api/generate` never does.
   */
  const residency = Effect.fnUntraced(
    function* (backend: Backend, call: "load" | "unload", embedder: boolean, body: { readonly model: string }) {
      if (embedder && call === "load") return yield* embed(backend, call, body)
      const { model, ...options } = body
      const request = Calls.post("/api/generate", { model, stream: false, ...options })
      return yield* send(backend, call, request).pipe(
        // Servers before 0.33 do not list capabilities, so an embedding model may not be known as one.
        Effect.catchIf(
          ({ reason }) =>
            reason._tag === "Rejected" && reason.status === 400 &&
            reason.description.includes("does not support generate"),
          () => embed(backend, call, body),
        ),
      )
    },
    Effect.asVoid,
  )

  return OllamaApi.of({
    version: Effect.fn("OllamaApi.version")((backend: Backend) =>
      read(backend, "version", Answers.version, Calls.get("/api/version"))
    ),
    tags: Effect.fn("OllamaApi.tags")((backend: Backend) =>
      read(backend, "tags", Answers.tags, Calls.get("/api/tags"))
    ),
    ps: Effect.fn("OllamaApi.ps")((backend: Backend) => read(backend, "ps", Answers.ps, Calls.get("/api/ps"))),
    show: Effect.fn("OllamaApi.show")((backend: Backend, model: string, options?: ShowOptions) =>
      read(backend, "show", Answers.show, Calls.post("/api/show", { model, ...options }))
    ),
    load: Effect.fn("OllamaApi.load")((backend: Backend, model: string, options: LoadOptions) =>
      residency(backend, "load", options.embedder, residencyBody(model, options.keepAlive, options.numCtx))
    ),
    unload: Effect.fn("OllamaApi.unload")(
      (backend: Backend, model: string, options: { readonly embedder: boolean }) =>
        limited(backend, "unload", residency(backend, "unload", options.embedder, residencyBody(model, 0, undefined))),
    ),
  })
}

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest time of a call other than `load`. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const timeoutOf = (options: Options | undefined) => Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")

/**
 * Makes control calls with the deployer's `HttpClient`.
 *
 * **Details**
 *
 * Unknown fields of answers are ignored, and missing ones get a default where that is safe, so that a fleet can mix old
 * and new servers. No `Origin` is sent: Ollama answers 403 to an origin that it does not know. A call whose connection
 * breaks is sent again, up to three times, since the connection may have been an old one that the backend had closed.
 *
 * **Gotchas**
 *
 * - `load` has no time limit here, since `Residency` has one. Ollama sends nothing until the model is in memory, so the
 *   `HttpClient` must not limit the wait for headers to less than a load takes. undici's default, also for `fetch` on
 *   Node, is 300 seconds.
 * - The `HttpClient` does not know the certificate authorities of one backend (`ca`). `layerTransport` does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<OllamaApi, never, HttpClient.HttpClient> =>
  Layer.effect(
    OllamaApi,
    Effect.map(HttpClient.HttpClient, (client) => make(Exchanges.overHttpClient(client), timeoutOf(options))),
  )

/**
 * Makes control calls with the `Transport`, as requests of clients are sent: with the same limits and certificates, and
 * without a limit for the wait for headers.
 *
 * **Gotchas**
 *
 * If the transport limits the connections to a backend, give this layer one of its own: probes would wait behind
 * streams.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTransport = (options?: Options): Layer.Layer<OllamaApi, never, Transport> =>
  Layer.effect(
    OllamaApi,
    Effect.map(Transport, (transport) => make(Exchanges.overTransport(transport), timeoutOf(options))),
  )
