/**
 * Who may use the router, and how much.
 *
 * @since 0.1.0
 */
import { Context, Schema } from "effect"
import * as ModelName from "./ModelName.ts"
import type { Priority } from "./Priority.ts"

/**
 * What may be used in a minute, and at one time; what is absent is not limited.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly requestsPerMinute?: number | undefined
  /** Of prompts and answers. */
  readonly tokensPerMinute?: number | undefined
  /** Requests under way, queued ones included. */
  readonly concurrent?: number | undefined
}

/**
 * What a key gives its holder. Nothing in it is secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface Grant {
  /** The name of the key, for logs and limits. */
  readonly id: string
  readonly tenant: string
  /** Canonical names of the models that may be asked for, aliases included; all when absent. */
  readonly models?: ReadonlySet<string> | undefined
  readonly limits?: Limits | undefined
  readonly priority?: Priority | undefined
}

/**
 * The keys cannot be read, or are none: which entry, and what is wrong with it, without a word of what it holds.
 *
 * @category errors
 * @since 0.1.0
 */
export class ApiKeysError extends Schema.TaggedError<ApiKeysError>()("ApiKeysError", {
  description: Schema.String,
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * The keys there are.
 *
 * @category services
 * @since 0.1.0
 */
export class ApiKeys extends Context.Service<ApiKeys, {
  /** The grant of a key as a client sent it. Synchronous, and the same work for any number of keys, right or wrong. */
  readonly find: (key: string) => Grant | undefined
  readonly size: () => number
}>()("llamero/services/ApiKeys") {}

/**
 * The grant that a call came with, for the routes that are not inference. `undefined` where no key is asked for.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentGrant = Context.Reference<Grant | undefined>("llamero/services/ApiKeys/CurrentGrant", {
  defaultValue: () => undefined,
})

/** Whether a model, however it is spelled, may be asked for. @category accessors @since 0.1.0 */
export const permits = (grant: Grant | undefined, model: string): boolean =>
  grant?.models === undefined || grant.models.has(ModelName.canonical(model))

const bearer = /^bearer +(\S+) *$/i

/**
 * The key in a request: `Authorization: Bearer KEY`, else `x-api-key` as Anthropic's clients send it; empty when there is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const presented = (header: (lowerCaseName: string) => string | undefined): string => {
  const authorization = header("authorization")
  return authorization === undefined ? header("x-api-key") ?? "" : bearer.exec(authorization)?.[1] ?? ""
}

/** What a client without a key is told, in any dialect. @category constants @since 0.1.0 */
export const missing = "an API key is needed: send it as Authorization: Bearer KEY, or as x-api-key"
/** What a client with a wrong or revoked one is told. @category constants @since 0.1.0 */
export const invalid = "this API key is not valid"
/** What a client is told whose key is not for a model. @category constructors @since 0.1.0 */
export const notFor = (model: string): string => `this API key is not for the model '${model}'`
