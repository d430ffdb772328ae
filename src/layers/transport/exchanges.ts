/**
 * Two ways of a control call to a backend: an `HttpClient`, and a `Transport`.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Headers, HttpBody, type HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { withAccess } from "../../services/BackendAccess.ts"
import { Unreachable } from "../../services/OllamaApi.ts"
import { type ByteSink, type Transport, TransportError, type Upstream } from "../../services/Transport.ts"
import { DecodingSink } from "../../wire/contentDecoding.ts"
import { concat } from "../../wire/json.ts"
import { reasonOf } from "./failures.ts"
import type { Exchange } from "./ollamaCalls.ts"

/**
 * How often a control call is sent once more when its connection broke. Neither a client nor every transport tells
 * whether it used a pooled connection that the backend had closed, and the next one can be of the same kind. Control
 * calls can be sent twice without harm.
 */
const repeats = 3

const accept = ["accept", "application/json"]

const causeOf = ({ reason }: HttpClientError.HttpClientError): unknown => "cause" in reason ? reason.cause : undefined

const describe = (error: HttpClientError.HttpClientError): string => {
  const cause = causeOf(error)
  // The cause of an error of `fetch` says only "fetch failed"; the cause of that one says why.
  const deeper = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return deeper instanceof Error && deeper.message !== "" ? deeper.message : error.reason.message
}

/** Over the deployer's `HttpClient`. @internal */
export const overHttpClient = (client: HttpClient.HttpClient): Exchange => (backend, { body, method, path }) => {
  const raw = withAccess(accept, backend.access)
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) headers[raw[i]!] = raw[i + 1]!
  const request = HttpClientRequest.make(method)(`${backend.url}${path}`, {
    headers,
    ...(body === undefined ? {} : { body: HttpBody.jsonUnsafe(body) }),
  })
  return client.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
    Effect.retry({
      times: repeats,
      while: (error) => error.reason._tag === "TransportError" && reasonOf(causeOf(error), true) === "Reset",
    }),
    Effect.mapError((error) =>
      new Unreachable({ description: describe(error), refused: reasonOf(causeOf(error), true) === "Refused" })
    ),
    // Spans have the headers of requests. What a backend asks for may be a secret under any name.
    Effect.updateService(
      Headers.CurrentRedactedNames,
      (names) =>
        backend.access === undefined ? names : [...names, ...Object.keys(headers).filter((name) => name !== "accept")],
    ),
  )
}

/** Largest answer to a control call, decoded, in bytes. A list of ten thousand models has less than 8 MiB. */
const answerMax = 64 * 1024 * 1024

/** Takes a whole answer. */
class Whole implements ByteSink {
  upstream: Upstream | undefined
  private status = 0
  private readonly parts: Array<Uint8Array> = []
  private bytes = 0
  private readonly done: (status: number, body: Uint8Array) => void
  private readonly failed: (error: TransportError) => void

  private readonly tooLarge: TransportError

  constructor(
    backend: string,
    done: (status: number, body: Uint8Array) => void,
    failed: (error: TransportError) => void,
  ) {
    this.done = done
    this.failed = failed
    const description = `an answer of more than ${answerMax} bytes`
    this.tooLarge = new TransportError({ backend, reason: "Protocol", description })
  }

  open(upstream: Upstream): void {
    this.upstream = upstream
  }

  head(status: number): void {
    this.status = status
  }

  data(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes <= answerMax) return void this.parts.push(chunk)
    this.upstream?.abort()
    this.failed(this.tooLarge)
  }

  end(): void {
    this.done(this.status, concat(this.parts))
  }

  fail(error: TransportError): void {
    this.failed(error)
  }
}

/** Over the transport that carries the requests of clients. @internal */
export const overTransport = (transport: Transport["Service"]): Exchange => (backend, { body, method, path }) => {
  const json = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body))
  const headers = json === undefined ? accept : [...accept, "content-type", "application/json"]
  const once = Effect.callback<{ readonly status: number; readonly text: string }, TransportError>((resume) => {
    const sink = new Whole(
      backend.id,
      (status, bytes) => resume(Effect.succeed({ status, text: new TextDecoder().decode(bytes) })),
      (error) => resume(Effect.fail(error)),
    )
    transport.send(backend, { method, path, headers, body: json }, new DecodingSink(backend.id, sink))
    return Effect.sync(() => sink.upstream?.abort())
  })
  return once.pipe(
    Effect.retry({ times: repeats, while: ({ reason }) => reason === "Reset" }),
    Effect.mapError(({ description, reason }) => new Unreachable({ description, refused: reason === "Refused" })),
  )
}
