/**
 * Which clients may use the router, and how much.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"
import * as ModelName from "./ModelName.ts"
import type { Priority } from "./Priority.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * How much a client may use in a minute, and at the same time. A limit that is absent does not apply.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly requestsPerMinute?: number | undefined
  /** Tokens of prompts and answers together. */
  readonly tokensPerMinute?: number | undefined
  /** Requests at the same time, those in the queue included. */
  readonly concurrent?: number | undefined
}

/**
 * What a key grants to a client. Nothing in it is secret.
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

const ApiKeysErrorBase: TaggedErrorClass<ApiKeysError, "ApiKeysError", { readonly description: Schema.String }> = Schema
  .TaggedError<ApiKeysError>()("ApiKeysError", { description: Schema.String })

/**
 * The keys cannot be read, or one of them is not valid. The description says which one and why, and quotes no value.
 *
 * @category errors
 * @since 0.1.0
 */
export class ApiKeysError extends ApiKeysErrorBase {
  override get message(): string {
    return this.description
  }
}

const key = "llamero/services/ApiKeys"
const Base: Context.ServiceClass<ApiKeys, typeof key, Service> = Context.Service<ApiKeys, Service>()(key)

/**
 * The valid keys.
 *
 * @category services
 * @since 0.1.0
 */
export class ApiKeys extends Base {}

/** The members of `ApiKeys`. @category services @since 0.1.0 */
export interface Service {
  /**
   * The grant of a key as a client sent it; `undefined` for a key that is not valid. Synchronous. It takes the same
   * time for any number of keys, and for valid and invalid ones.
   */
  readonly find: (key: string) => Grant | undefined
  /** The grant of the key with this `id`, for clients that are let in without sending it. Synchronous. */
  readonly named: (id: string) => Grant | undefined
  /** How many keys are valid. */
  readonly size: () => number
  /**
   * Reads the keys again now, and returns whether they have changed. When they have a fault, they stay as they were.
   * Absent where the keys are fixed.
   */
  readonly reload?: Effect.Effect<boolean, ApiKeysError> | undefined
}

/**
 * The grant of the current call, for the routes that are not inference. `undefined` where no key is required.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentGrant: Context.Reference<Grant | undefined> = Context.Reference<Grant | undefined>(
  "llamero/services/ApiKeys/CurrentGrant",
  { defaultValue: () => undefined },
)

/** Whether a grant permits a model, in any spelling of its name. @category accessors @since 0.1.0 */
export const permits = (grant: Grant | undefined, model: string): boolean =>
  grant?.models === undefined || grant.models.has(ModelName.canonical(model))

const bearer = /^bearer +(\S+) *$/i

/**
 * The key in a request: `Authorization: Bearer KEY`, else `x-api-key`, which Anthropic's clients send. Empty when there
 * is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const presented = (header: (lowerCaseName: string) => string | undefined): string => {
  const authorization = header("authorization")
  return authorization === undefined ? header("x-api-key") ?? "" : bearer.exec(authorization)?.[1] ?? ""
}

/** The message to a client that sends no key, in any dialect. @category constants @since 0.1.0 */
export const missing = "an API key is needed: send it as Authorization: Bearer KEY, or as x-api-key"
/** The message to a client whose key is wrong or revoked. @category constants @since 0.1.0 */
export const invalid = "this API key is not valid"
/** The message to a local client, when the key that it has by setting is not there. @category constants @since 0.1.0 */
export const noLocalKey = "local clients have no valid API key: send one as Authorization: Bearer KEY, or as x-api-key"
/** The message to a client whose key does not permit a model. @category constructors @since 0.1.0 */
export const notFor = (model: string): string => `this API key is not for the model '${model}'`
