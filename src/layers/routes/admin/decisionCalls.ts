/**
 * The calls of the admin API about the last requests.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { type Get, get, type OfId, says } from "./endpoint.ts"
import * as Errors from "./errors.ts"

const Decision = Schema.Record(Schema.String, Schema.Unknown).annotate({ identifier: "Decision" })
const ofId = { id: Schema.String }

const decisions: Get<
  "decisions",
  "/admin/decisions",
  unknown,
  Errors.BadCall | Errors.Unknown,
  { readonly query: { readonly limit?: string; readonly id?: string } }
> = get("decisions", "/admin/decisions", {
  query: { limit: Schema.optionalKey(Schema.String), id: Schema.optionalKey(Schema.String) },
  success: Schema.Unknown,
  error: [Errors.BadCall, Errors.Unknown],
}).annotateMerge(says("The last requests, newest first", "`limit` defaults to 100. `id` asks for one request."))

const decision: Get<
  "decision",
  "/admin/decisions/:id",
  { readonly [field: string]: unknown },
  Errors.Unknown,
  OfId
> = get("decision", "/admin/decisions/:id", { params: ofId, success: Decision, error: Errors.Unknown })
  .annotateMerge(says("One request by its X-Request-Id"))

/** Why a request went where it went. Plain text where the client asks for it. */
type Words = { readonly id: string; readonly summary: string; readonly sentences: ReadonlyArray<string> } | string

const why: Get<"why", "/admin/decisions/:id/why", Words, Errors.Unknown, OfId> = get(
  "why",
  "/admin/decisions/:id/why",
  {
    params: ofId,
    success: [
      Schema.Struct({ id: Schema.String, summary: Schema.String, sentences: Schema.Array(Schema.String) }),
      Schema.String.pipe(HttpApiSchema.asText()),
    ],
    error: Errors.Unknown,
  },
).annotateMerge(says("Why a request went where it went, in words", "Plain text with `Accept: text/plain`."))

/** @category groups @since 0.1.0 */
export const decisionCalls: HttpApiGroup.HttpApiGroup<
  "decisions",
  typeof decisions | typeof decision | typeof why
> = HttpApiGroup.make("decisions").add(decisions, decision, why)
  .annotateMerge(says("", "The last requests, each with its placement, its attempts and how it ended."))
