/**
 * Shows the devices of this machine to a router on another one.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { GpuProbe, GpuReadings } from "../../services/GpuProbe.ts"
import * as Agent from "../../wire/gpuAgent.ts"
import { bearer } from "./bearer.ts"

const encodeReadings = Schema.encodeEffect(Schema.fromJsonString(GpuReadings))
const encodeFailure = Schema.encodeEffect(Schema.fromJsonString(Agent.Refused))

const json = (body: string, status: number) =>
  HttpServerResponse.text(body, { status, contentType: "application/json", headers: { "cache-control": "no-store" } })

/**
 * `GET /gpus` with `Authorization: Bearer TOKEN`: 200 with the readings, 401 without the token, 503 with the probe's
 * error.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  /** Must not be empty. */
  readonly token: Redacted.Redacted<string>
}): Layer.Layer<never, never, HttpRouter.HttpRouter | GpuProbe> => {
  const token = Redacted.value(options.token)
  if (token === "") throw new RangeError("GpuAgentRoutes.layer: token must not be empty")
  const allowed = bearer(token)
  return HttpRouter.use(Effect.fnUntraced(function* (http) {
    const probe = yield* GpuProbe
    const answer = probe.read.pipe(
      Effect.flatMap(encodeReadings),
      Effect.map((body) => json(body, 200)),
      Effect.catchTag("GpuProbeError", (error) => Effect.map(encodeFailure({ error }), (body) => json(body, 503))),
      Effect.orDie,
    )
    yield* http.add(
      "GET",
      Agent.path,
      (request: HttpServerRequest.HttpServerRequest) =>
        allowed(request.headers["authorization"]) ? answer : Effect.succeed(json(`{"error":"a token is needed"}`, 401)),
    )
  }))
}
