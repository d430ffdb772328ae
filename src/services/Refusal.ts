/**
 * Why a request gets no answer from a backend: a value, rendered at the edge in the client's dialect.
 *
 * @since 0.1.0
 */

/**
 * What kind of refusal it is; it decides the status.
 *
 * - `BadRequest`: the call cannot be read, or its prompt or context does not fit the model.
 * - `Unauthorized`: no API key, or one that is not valid.
 * - `Forbidden`: the API key is not for this model.
 * - `ModelNotFound`: no backend has the model.
 * - `MethodNotAllowed`: the path does not take this method. For guards and routes of your own; nothing that is shipped says it.
 * - `BodyTooLarge`: the body is above the limit.
 * - `UnsupportedEncoding`: the body is compressed in a way that the router cannot undo.
 * - `RateLimited`: the key or tenant has used up what it may in a minute, or at one time.
 * - `QueueFull`: as many wait as may, or the router holds as many bodies as it may. Nothing was sent to a backend.
 * - `NoBackend`: no backend can take it: none is healthy, or the router has no connections left.
 * - `Draining`: the router is shutting down.
 * - `DeadlineExceeded`: it waited too long in the queue, or its answer took too long as a whole.
 * - `LoadFailed`: the model could not be loaded; with the backend's own status where it gave one.
 * - `BackendFailed`: the backend failed before or in the middle of its answer; 504 where it stayed silent.
 * - `Internal`: a fault of the router or of a plugin; 503 where a guard did not answer in time.
 *
 * @category models
 * @since 0.1.0
 */
export type RefusalReason =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "ModelNotFound"
  | "MethodNotAllowed"
  | "BodyTooLarge"
  | "UnsupportedEncoding"
  | "RateLimited"
  | "QueueFull"
  | "NoBackend"
  | "Draining"
  | "DeadlineExceeded"
  | "LoadFailed"
  | "BackendFailed"
  | "Internal"

const statuses: Readonly<Record<RefusalReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  ModelNotFound: 404,
  MethodNotAllowed: 405,
  BodyTooLarge: 413,
  UnsupportedEncoding: 415,
  RateLimited: 429,
  QueueFull: 503,
  NoBackend: 503,
  Draining: 503,
  DeadlineExceeded: 504,
  LoadFailed: 500,
  BackendFailed: 502,
  Internal: 500,
}

/**
 * A refused request. Not an `Error`: shedding thousands a second must not cost a stack trace each.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly reason: RefusalReason
  readonly status: number
  /** For the client: no stack, no address of a backend, no prompt. */
  readonly message: string
  /** Seconds until a retry may succeed; sent as `Retry-After`. */
  readonly retryAfter?: number | undefined
  /** The model as the client spelt it, where the dialect's text names it. */
  readonly model?: string | undefined
  /** More to send with it: alternating names and values. */
  readonly headers?: ReadonlyArray<string> | undefined
  /** The queue it did not get through: sent as `X-Llamero-Queue-Depth`, and `X-Llamero-Estimated-Wait` in seconds. */
  readonly queue?: { readonly depth: number; readonly waitMillis: number } | undefined
}

/**
 * Makes a refusal; the status follows from the reason unless given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = (
  reason: RefusalReason,
  message: string,
  options?: Partial<Pick<Refusal, "status" | "retryAfter" | "model" | "queue" | "headers">>,
): Refusal => ({
  _tag: "Refusal",
  reason,
  status: options?.status ?? statuses[reason],
  message,
  retryAfter: options?.retryAfter,
  model: options?.model,
  queue: options?.queue,
  headers: options?.headers,
})

/** Shed because of load: never reached a backend, so safe to retry. @category models @since 0.1.0 */
export const isShed = (refusal: Refusal): boolean =>
  refusal.reason === "QueueFull" || refusal.reason === "NoBackend" || refusal.reason === "Draining"
