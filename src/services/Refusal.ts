/**
 * The errors with which the router itself answers a request. The reply writes them in the client's dialect.
 *
 * @since 0.1.0
 */

/**
 * The reason of a refusal. It decides the status.
 *
 * - `BadRequest` (400): the call or the model's name cannot be read, or its prompt or context does not fit the model.
 * - `Unauthorized` (401): there is no API key, or it is not valid.
 * - `Forbidden` (403): the API key does not allow this model, only ollama.com could have it, or others need a model
 *   that a client wants to unload.
 * - `ModelNotFound` (404): no backend has the model.
 * - `MethodNotAllowed` (405): the path does not take this method. No shipped layer uses it; it is for your own guards
 *   and routes.
 * - `BodyTooLarge` (413): the body is above the limit.
 * - `UnsupportedEncoding` (415): the router cannot decompress the body.
 * - `RateLimited` (429): the key or tenant has reached its limit per minute, or its limit of requests at one time.
 * - `QueueFull` (503): the queue is full, 256 unloads wait already, or the router holds its limit of body bytes.
 *   Nothing was sent to a backend.
 * - `NoBackend` (503): no backend is healthy, or the router has no connections left.
 * - `Draining` (503): the router is shutting down.
 * - `DeadlineExceeded` (504): the request waited too long in the queue, or its whole answer took too long.
 * - `LoadFailed` (500, or the backend's own status): the model could not be loaded.
 * - `BackendFailed` (502, or 504 when it stayed silent): the backend failed before or during its answer.
 * - `Internal` (500, or 503 when a guard did not answer in time): a fault of the router or of a plugin.
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
 * A refusal. It is not an `Error`: the router can shed thousands of requests a second, and a stack trace costs time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly reason: RefusalReason
  readonly status: number
  /** The client sees it: it must not contain a stack trace, the address of a backend or a prompt. */
  readonly message: string
  /** Seconds until a retry may succeed. Sent as `Retry-After`. */
  readonly retryAfter?: number | undefined
  /** The model's name as the client wrote it, for dialects whose text names the model. */
  readonly model?: string | undefined
  /** More headers to send: names and values in turn. */
  readonly headers?: ReadonlyArray<string> | undefined
  /**
   * The state of the queue that was full, or in which the request waited too long. Sent as `X-Llamero-Queue-Depth`
   * (requests that wait) and `X-Llamero-Estimated-Wait` (in seconds).
   */
  readonly queue?: { readonly depth: number; readonly waitMillis: number } | undefined
}

/**
 * Makes a refusal. The status follows from the reason unless it is given.
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

/** Whether it was shed. Such a request never reached a backend, so a retry is safe. @category models @since 0.1.0 */
export const isShed = (refusal: Refusal): boolean =>
  refusal.reason === "QueueFull" || refusal.reason === "NoBackend" || refusal.reason === "Draining"
