/**
 * Asking several backends, or the first that answers.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { type Call, Transport } from "../../services/Transport.ts"
import { collect, type Collected } from "./collect.ts"

/**
 * What a route asks the fleet with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fanout {
  /** Backends worth asking, the ones known to be healthy first. */
  readonly backends: () => ReadonlyArray<Backend>
  /** Asks all of them at once; those that do not answer with 200 are simply missing. In the order of the fleet, whoever is quicker. */
  readonly all: (call: Call) => Effect.Effect<ReadonlyArray<Collected>>
  /** Asks one after the other until one has an answer that settles it: by default, neither 404 nor a fault of its own. Else the last answer there was. */
  readonly first: (
    backends: ReadonlyArray<Backend>,
    call: Call,
    settles?: (status: number) => boolean,
  ) => Effect.Effect<Collected | undefined>
}

const found = (status: number): boolean => status !== 404 && status < 500
/** For what the catalog does not know: it has asked everybody, so one "not found" is enough. @category constructors @since 0.1.0 */
export const said = (status: number): boolean => status < 500

/** @category constructors @since 0.1.0 */
export const get = (path: string): Call => ({ method: "GET", path, headers: [], body: undefined })

/**
 * **Details**
 *
 * Backends held out by an operator are not asked. Unhealthy ones only where there is no other: waiting for a dead backend would make every list slow, and
 * when all look dead asking is the only way to know.
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
    const first: Fanout["first"] = Effect.fnUntraced(function* (candidates, call, settles = found) {
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

/** An answer of a backend, passed on as it is. @category constructors @since 0.1.0 */
export const passOn = (answer: Collected): HttpServerResponse.HttpServerResponse => {
  let contentType = "application/json; charset=utf-8"
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    if (answer.rawHeaders[i]!.toLowerCase() === "content-type") contentType = answer.rawHeaders[i + 1]!
  }
  return HttpServerResponse.uint8Array(answer.body, { status: answer.status, contentType })
}
