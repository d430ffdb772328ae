/**
 * Reads small bodies that name a model.
 *
 * @since 0.1.0
 */
import { type ByteSize, Effect, Option } from "effect"
import { HttpIncomingMessage, HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { ModelCatalog } from "../../services/ModelCatalog.ts"
import * as Keys from "../../wire/fieldNames.ts"
import { parse, readString, skipSpace, text } from "../../wire/json.ts"
import { fieldsOf } from "../../wire/jsonParts.ts"
import * as Respond from "./respond.ts"

const encoder = new TextEncoder()

/**
 * The fields of a body, by the rules of Go's JSON: the case of keys does not matter, the last field of a name counts,
 * `null` says nothing, and what comes behind the object is ignored. A field that is the empty string is left out.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fields = (body: string): (key: string) => unknown => {
  const bytes = encoder.encode(body)
  const found = new Map<string, unknown>()
  for (const { end, key, start } of fieldsOf(bytes, skipSpace(bytes, 0)) ?? []) {
    const value = Option.getOrUndefined(parse(text(bytes, start, end)))
    const name = readString(bytes, key.start, key.end)
    if (name !== undefined && value !== undefined && value !== null) found.set(Keys.fold(name), value)
  }
  return (key) => found.get(key) === "" ? undefined : found.get(key)
}

/** The model that a body names; `name` is the older key. @category decoding @since 0.1.0 */
export const model = (field: (key: string) => unknown): string => {
  const named = field("model") ?? field("name")
  return typeof named === "string" ? named : ""
}

/** Whether no backend has the model; `false` too where that is not known. @category lookups @since 0.1.0 */
export const isMissing = (catalog: ModelCatalog["Service"], name: string): Effect.Effect<boolean> =>
  Effect.match(catalog.find(name), {
    onSuccess: () => false,
    onFailure: ({ reason }) => reason._tag === "ModelMissing",
  })

/**
 * Answers a request from its body; 413 for a body that is too large, 400 for one that cannot be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const answer = <R>(
  limit: ByteSize.ByteSize,
  handle: (body: string) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>,
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  HttpServerRequest.HttpServerRequest.use((request) =>
    Effect.provideService(request.text, HttpIncomingMessage.MaxBodySize, limit)
  ).pipe(
    Effect.matchEffect({
      onSuccess: handle,
      onFailure: ({ reason }) =>
        Effect.succeed(
          reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
            ? Respond.error(413, `request body too large, the limit is ${limit} bytes`)
            : Respond.error(400, "request body could not be read"),
        ),
    }),
  )
