/**
 * The running router, asked over its admin API.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Option, Schema } from "effect"
import { backend } from "../../../services/Fleet.ts"
import { Transport } from "../../../services/Transport.ts"
import type { ObservedRouter } from "../observations.ts"
import { ask } from "./ask.ts"

const State = Schema.fromJsonString(Schema.Struct({
  backends: Schema.Array(Schema.Struct({
    id: Schema.String,
    url: Schema.String,
    health: Schema.String,
    reason: Schema.String,
    models: Schema.Array(Schema.Struct({ model: Schema.String, streams_max: Schema.Number })),
  })),
  prewarm: Schema.Array(Schema.Struct({
    model: Schema.String,
    backend: Schema.NullOr(Schema.String),
    state: Schema.String,
    reason: Schema.String,
  })),
}))

const decode = Schema.decodeUnknownOption(State)

/** `token` is empty where there is none. */
export const observeRouter = Effect.fnUntraced(function* (
  url: string,
  token: string,
  limit: Duration.Duration,
): Effect.fn.Return<ObservedRouter, never, Transport> {
  const transport = yield* Transport
  const server = backend({ url, ...(token === "" ? {} : { token }) })
  const { answer, text } = yield* ask(transport, server, "/admin/state", limit)
  const isState = answer._tag === "Answered" && answer.status === 200
  return { url: server.url, answer, state: isState ? Option.getOrUndefined(decode(text)) : undefined }
})
