/**
 * Asks all backends, or one after the other until one answers.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { type Call, Transport } from "../../services/Transport.ts"
import { collect, type Collected } from "./smallCall.ts"

/**
 * How a route asks the fleet.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fanout {
  /** The backends to ask. */
  readonly backends: () => ReadonlyArray<Backend>
  /**
   * Asks all of them at the same time. Answers come in the order of the fleet. A backend that does not answer with 200
   * is left out.
   */
  readonly all: (call: Call) => Effect.Effect<ReadonlyArray<Collected>>
  /**
   * Asks one after the other, until `settles` accepts the status of an answer. By default it accepts every status but
   * 404 and 5xx. If it accepts none, the result is the last answer.
   */
  readonly first: (
    backends: ReadonlyArray<Backend>,
    call: Call,
    settles?: (status: number) => boolean,
  ) => Effect.Effect<Collected | undefined>
}

const unlessMissing = (status: number): boolean => status !== 404 && status < 500
/**
 * For a model that the catalog does not know: the catalog has asked all backends, so one 404 is enough.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unlessServerError = (status: number): boolean => status < 500

/** @category constructors @since 0.1.0 */
export const get = (path: string): Call => ({ method: "GET", path, headers: [], body: undefined })

/**
 * **Details**
 *
 * Backends that an operator has isolated are not asked. Unhealthy backends are asked only where there is no healthy
 * one: waiting for a dead backend would make every list slow, but when all look dead, asking is the only way to find
 * out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  limit: Duration.Duration,
): Effect.Effect<Fanout, never, Fleet | BackendHealth | Transport> =>
  Effect.contextWith((context: Context.Context<Fleet | BackendHealth | Transport>) => {
    const fleet = Context.get(context, Fleet)
    const health = Context.get(context, BackendHealth)
    const transport = Context.get(context, Transport)

    const backends = (): ReadonlyArray<Backend> => {
      const active = fleet.members().filter((member) => member.state === "active").map((member) => member.backend)
      const alive = active.filter((backend) => health.status(backend.id).state !== "unhealthy")
      return alive.length > 0 ? alive : active
    }
    const ask = (backend: Backend, call: Call): Effect.Effect<Collected | undefined> =>
      Effect.catch(
        collect(transport, backend, call, limit),
        (error) => Effect.as(Effect.logDebug("no answer for a list", error.message), undefined),
      )
    const all: Fanout["all"] = (call) =>
      Effect.map(
        Effect.forEach(backends(), (backend) => ask(backend, call), { concurrency: 32 }),
        (answers) => answers.filter((answer): answer is Collected => answer !== undefined && answer.status === 200),
      )
    const first: Fanout["first"] = Effect.fnUntraced(function* (candidates, call, settles = unlessMissing) {
      let last: Collected | undefined
      for (const backend of candidates) {
        const answer = yield* ask(backend, call)
        if (answer === undefined) continue
        last = answer
        if (settles(answer.status)) break
      }
      return last
    })
    return Effect.succeed({ backends, all, first })
  })

/** Passes on the answer of a backend unchanged. @category constructors @since 0.1.0 */
export const passOn = (answer: Collected): HttpServerResponse.HttpServerResponse => {
  let contentType = "application/json; charset=utf-8"
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    if (answer.rawHeaders[i]!.toLowerCase() === "content-type") contentType = answer.rawHeaders[i + 1]!
  }
  return HttpServerResponse.uint8Array(answer.body, { status: answer.status, contentType })
}
