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
  GpuReading,
  GpuReadings,
  PermissionDenied,
  Unhealthy,
  unknown,
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

const decodeAnswer = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ ...GpuReadings.fields, devices: Schema.Array(Schema.Unknown) })),
)
const decodeDevice = Schema.decodeUnknownOption(GpuReading)
const decodeName = Schema.decodeUnknownOption(Schema.Struct({ uuid: Schema.NonEmptyString }))

/** What one device of an answer is worth. One that cannot be read must not hide the others. */
const deviceOf = (sent: unknown): Option.Option<GpuReading> =>
  Option.orElse(decodeDevice(sent), () =>
    Option.map(decodeName(sent), ({ uuid }) => ({
      ...unknown(uuid, uuid, uuid.startsWith("MIG-") ? "mig" : uuid === "system" ? "system" : "gpu"),
      health: Option.some(new Unhealthy({ reason: "what the agent says of it cannot be read" })),
    })))

/** The devices that can be read or named, each once; nothing if the answer has devices and none can be read. */
const devicesOf = (sent: ReadonlyArray<unknown>): Option.Option<ReadonlyArray<GpuReading>> => {
  const found = new Map<string, GpuReading>()
  for (const device of sent.flatMap((each) => Option.toArray(deviceOf(each)))) {
    if (device.uuid !== "" && !found.has(device.uuid)) found.set(device.uuid, device)
  }
  const isRead = sent.length === 0 || sent.some((each) => Option.isSome(decodeDevice(each)))
  return isRead ? Option.some(Array.from(found.values())) : Option.none()
}
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
  const asked = client.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (body) => [response, body] as const)),
    Effect.retry({ times: 3, while: ({ reason }) => reason._tag === "TransportError" }),
  )

  const once = Effect.gen(function* () {
    const [response, body] = yield* Effect.mapError(asked, unreachable)
    if (response.status !== 200) return yield* whyNot(response, body)
    const answer = yield* Effect.mapError(decodeAnswer(body), () => nonsense(200))
    const devices = devicesOf(answer.devices)
    if (Option.isNone(devices)) return yield* nonsense(200)
    return { ...answer, source: `${source}, ${answer.source}`, devices: devices.value }
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
 * `Unreachable`, `PermissionDenied` and `Timeout` may also be about the connection to the agent. A device that cannot
 * be read from the answer is unhealthy; the others stay.
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
