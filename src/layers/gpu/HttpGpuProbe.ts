/**
 * The devices of another machine, read from the agent that runs there (`examples/gpu-agent.ts`).
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest, type HttpClientResponse } from "effect/http"
import {
  Failed,
  GpuProbe,
  GpuProbeError,
  type GpuProbeReason,
  GpuReadings,
  PermissionDenied,
  Unreachable,
} from "../../services/GpuProbe.ts"
import * as Agent from "../../wire/gpuAgent.ts"
import * as SharedRead from "./probes/sharedRead.ts"

/**
 * Where the agent is, and how to ask it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Such as `http://gpu-host:11436`. */
  readonly url: string | URL
  readonly token: Redacted.Redacted<string>
  /** Limit for one read. Defaults to 2 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const decodeReadings = Schema.decodeUnknownEffect(Schema.fromJsonString(GpuReadings))
const decodeFailure = Schema.decodeUnknownEffect(Schema.fromJsonString(Agent.Refused))

const make = Effect.fnUntraced(function* (options: Options) {
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "2 seconds")
  const url = new URL(Agent.path, options.url)
  const source = `agent ${url.host}`
  const client = yield* HttpClient.HttpClient
  const request = HttpClientRequest.get(url).pipe(HttpClientRequest.bearerToken(options.token))
  const fail = (reason: GpuProbeReason) => new GpuProbeError({ source, reason })
  const unreachable = (error: { readonly message: string }) => fail(new Unreachable({ description: error.message }))
  const nonsense = (status: number) =>
    fail(new Failed({ code: Option.some(status), description: `answered ${status} with something else than readings` }))

  const whyNot = ({ status }: HttpClientResponse.HttpClientResponse, body: string) => {
    if (status === 401 || status === 403) {
      return Effect.fail(fail(new PermissionDenied({ description: `the agent refuses the token (${status})` })))
    }
    return decodeFailure(body).pipe(
      Effect.mapError(() => nonsense(status)),
      // The reason comes from the probe of the other machine, because that is where it has to be mended.
      Effect.flatMap(({ error }) =>
        Effect.fail(new GpuProbeError({ source: `${source}, ${error.source}`, reason: error.reason }))
      ),
    )
  }

  // A client does not tell whether it used a pooled connection that the agent had closed. A read may be repeated.
  const answer = client.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (body) => [response, body] as const)),
    Effect.retry({ times: 3, while: ({ reason }) => reason._tag === "TransportError" }),
  )

  const once = Effect.gen(function* () {
    const [response, body] = yield* Effect.mapError(answer, unreachable)
    if (response.status !== 200) return yield* whyNot(response, body)
    const readings = yield* Effect.mapError(decodeReadings(body), () => nonsense(200))
    return { ...readings, source: `${source}, ${readings.source}` }
  }).pipe(Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(fail(SharedRead.timeout(timeout))) }))

  const read = yield* SharedRead.make(source, timeout, once)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Asks an agent for each read.
 *
 * **Details**
 *
 * `source` names the agent and the probe that answered there. An error of that probe comes through with its own reason.
 * `Unreachable`, `PermissionDenied` and `Timeout` may also be about the connection to the agent.
 *
 * **Gotchas**
 *
 * `system` is the UUID of the system's memory on every machine. Keep the readings of several agents apart, by backend.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<GpuProbe, never, HttpClient.HttpClient> =>
  Layer.effect(GpuProbe, make(options))
