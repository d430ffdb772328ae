/**
 * The errors of control calls to Ollama.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

const UnreachableBase: TaggedErrorClass<Unreachable, "Unreachable", {
  readonly description: Schema.String
  /** Whether there was no connection at all: nothing listens there. Absent when that is not known. */
  readonly refused: Schema.optionalKey<Schema.Boolean>
}> = Schema.TaggedError<Unreachable>()("Unreachable", {
  description: Schema.String,
  refused: Schema.optionalKey(Schema.Boolean),
})

/**
 * The backend did not answer: the connection was refused or reset, or it took too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends UnreachableBase {}

const RejectedBase: TaggedErrorClass<Rejected, "Rejected", {
  readonly status: Schema.Number
  readonly description: Schema.String
}> = Schema.TaggedError<Rejected>()("Rejected", { status: Schema.Number, description: Schema.String })

/**
 * Ollama answered with an error: its status and the text of its `error` field.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends RejectedBase {}

const MalformedBase: TaggedErrorClass<Malformed, "Malformed", { readonly description: Schema.String }> = Schema
  .TaggedError<Malformed>()("Malformed", { description: Schema.String })

/**
 * The answer is not what Ollama sends.
 *
 * @category errors
 * @since 0.1.0
 */
export class Malformed extends MalformedBase {}

const OllamaApiErrorBase: TaggedErrorClass<OllamaApiError, "OllamaApiError", {
  readonly backend: Schema.String
  readonly call: Schema.String
  readonly reason: Schema.Union<readonly [typeof Unreachable, typeof Rejected, typeof Malformed]>
}> = Schema.TaggedError<OllamaApiError>()("OllamaApiError", {
  backend: Schema.String,
  call: Schema.String,
  reason: Schema.Union([Unreachable, Rejected, Malformed]),
})

/**
 * The one error of a control call.
 *
 * @category errors
 * @since 0.1.0
 */
export class OllamaApiError extends OllamaApiErrorBase {
  override get message(): string {
    return `${this.call} on ${this.backend}: ${this.reason.description}`
  }
}
