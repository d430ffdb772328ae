/**
 * What each backend answers.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Option, Predicate } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { OllamaApi } from "../../../services/OllamaApi.ts"
import { Transport } from "../../../services/Transport.ts"
import * as Json from "../../../wire/json.ts"
import type { ObservedBackend } from "../observations.ts"
import { ask } from "./ask.ts"
import { hostOf } from "./hosts.ts"

const versionIn = (text: string): string | undefined => {
  const body = Option.getOrUndefined(Json.parse(text))
  return Predicate.hasProperty(body, "version") && typeof body.version === "string" ? body.version : undefined
}

/** Asks for the version first, then for the models on disk and in memory at the same time. */
const observed = Effect.fnUntraced(function* (backend: Backend, limit: Duration.Duration) {
  const transport = yield* Transport
  const api = yield* OllamaApi
  const { answer, text } = yield* ask(transport, backend, "/api/version", limit)
  const host = hostOf(backend)
  const isOllama = answer._tag === "Answered" && answer.status === 200
  const version = isOllama ? versionIn(text) : undefined
  if (version === undefined) return { backend, answer, version, tags: undefined, ps: undefined, host }
  const optional = <A, E>(call: Effect.Effect<A, E>) =>
    Effect.map(
      Effect.timeoutOption(Effect.option(call), limit),
      (found) => Option.getOrUndefined(Option.flatten(found)),
    )
  const [tags, ps] = yield* Effect.all([optional(api.tags(backend)), optional(api.ps(backend))], {
    concurrency: "unbounded",
  })
  return { backend, answer, version, tags, ps, host }
})

/** All of them at the same time. */
export const observeBackends = (
  backends: ReadonlyArray<Backend>,
  limit: Duration.Duration,
): Effect.Effect<ReadonlyArray<ObservedBackend>, never, OllamaApi | Transport> =>
  Effect.forEach(backends, (backend) => observed(backend, limit), { concurrency: 32 })
