/**
 * Answers a request that only unloads a model. It never becomes a load.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Fiber, FiberMap, Result } from "effect"
import type { BackendView } from "../../services/FleetView.ts"
import { Leases } from "../../services/Leases.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { success } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { Residency } from "../../services/Residency.ts"
import { clientOf } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { otherUse, type Policy } from "./clientOptions.ts"
import type { CompanyOf } from "./otherClients.ts"
import type { Run } from "./requestState.ts"
import * as Answer from "./unloadAnswer.ts"

/** Milliseconds to wait for the client's own requests, where the client does not say how long it waits. */
const waitMillis = 300_000

/** @internal */
export interface Unloading {
  /** Answers once the model has left the memory of every backend, or refuses. */
  readonly unload: (run: Run, model: Model) => Effect.Effect<Settled, Refusal>
  /** A request has ended: what waits for it looks again. */
  readonly settled: () => void
}

/** A backend that has the model in memory, or is loading it. */
interface Holder {
  readonly view: BackendView
  readonly state: "loading" | "resident" | "draining"
}

/** The backends that were asked to unload the model: whether it has left each of them. */
type Asked = Map<string, boolean>

const named = ({ request }: Run): string => `model '${request.envelope.model}'`

const busy = (run: Run): Refusal =>
  refuse("Forbidden", `${named(run)} was not unloaded: requests of yours still use it or wait for it`)

const stays = (run: Run): Refusal =>
  refuse("Forbidden", `${named(run)} was not unloaded: its server still uses it, for somebody who does not ask here`)

/** @internal */
export const make = Effect.fnUntraced(function* (clients: Policy, companyOf: CompanyOf) {
  const clock = yield* Clock.Clock
  const leases = yield* Leases
  const residency = yield* Residency
  const readings = yield* Effect.flatMap(FiberMap.make<"reading">(), (map) => FiberMap.runtime(map)())
  const waiting = new Set<() => void>()

  const holders = (model: Model): ReadonlyArray<Holder> =>
    Array.from(model.owners.keys()).flatMap((id): ReadonlyArray<Holder> => {
      const view = leases.view.find(id)
      const state = residency.state(id, model)
      return view === undefined || state === "absent" || view.health === "unhealthy" ? [] : [{ view, state }]
    })

  /** Why the model may not be unloaded; `undefined` when it may, at once or later. */
  const refusal = (run: Run, model: Model, held: ReadonlyArray<Holder>): Refusal | undefined => {
    const no = (why: string) => refuse("Forbidden", `${named(run)} was not unloaded: ${why}`)
    if (held.some(({ view }) => residency.pinned(view.backend.id, model))) return no("this server keeps it in memory")
    if (clients.passThrough) return undefined
    if (companyOf(run, model) === "others") return no("another client uses it or waits for it")
    const now = clock.currentTimeMillisUnsafe()
    for (const { view } of held) {
      const use = otherUse(clientOf(run.request), view, model, residency, clients)
      if (use === undefined || use.until <= now) continue
      const [ago, left] = [now - use.at, use.until - now].map((millis) => Math.ceil(millis / 1000))
      return no(`another client used it ${ago} s ago; ask again in ${left} s, if nobody else uses it until then`)
    }
    return undefined
  }

  /** One look. `gone` when no backend has the model in memory. */
  const look = (run: Run, model: Model, asked: Asked): Refusal | "gone" | "wait" => {
    const held = holders(model)
    for (const id of asked.keys()) {
      const holder = held.find(({ view }) => view.backend.id === id)
      if (holder === undefined || holder.state === "loading") asked.set(id, true)
      else if (holder.state === "resident" && asked.get(id) === false) return stays(run)
    }
    // What was loaded again since then is wanted by a request that came later.
    const left = held.filter(({ view }) => asked.get(view.backend.id) !== true)
    if (left.length === 0) return "gone"
    if (asked.size === 0) {
      const refused = refusal(run, model, left)
      if (refused !== undefined) return refused
      if (companyOf(run, model) !== "none") return "wait"
    }
    for (const { state, view: { backend } } of left) {
      if (state === "resident" && !asked.has(backend.id) && residency.unload(backend, model)) {
        asked.set(backend.id, false)
      }
    }
    return "wait"
  }

  /** Looks now, and again after each change that may lead to another answer. */
  const left = (run: Run, model: Model): Effect.Effect<void, Refusal> =>
    Effect.callback((resume) => {
      const asked: Asked = new Map()
      let looking = false
      let again = false
      const stop = (): void => {
        waiting.delete(changed)
        stops.forEach((each) => each())
      }
      const changed = (): void => {
        again = true
        // An unload tells its listeners at once, in the middle of a look.
        if (looking) return
        looking = true
        while (again) {
          again = false
          const seen = Result.try(() => look(run, model, asked))
          if (Result.isSuccess(seen) && seen.success === "wait") continue
          stop()
          if (Result.isFailure(seen)) return resume(Effect.die(seen.failure))
          return resume(typeof seen.success === "string" ? Effect.void : Effect.fail(seen.success))
        }
        looking = false
      }
      const stops = [residency.onChange(changed), leases.onFree(changed)]
      waiting.add(changed)
      changed()
      return Effect.sync(stop)
    })

  /** A model may have been loaded since the last reading, by somebody who does not use the router. */
  const read = Effect.suspend(() => Fiber.await(readings("reading", residency.refresh, { onlyIfMissing: true })))

  return {
    settled: () => {
      if (waiting.size > 0) { for (const each of Array.from(waiting)) each() }
    },
    unload: (run, model) =>
      Effect.gen(function* () {
        yield* read
        yield* Effect.timeoutOrElse(left(run, model), {
          duration: Duration.millis(run.request.queueMillis ?? waitMillis),
          orElse: () => Effect.fail(busy(run)),
        })
        run.outcome = success
        Answer.write(run, clock.currentTimeMillisUnsafe())
        return run.end("answered", 200, undefined)
      }),
  } satisfies Unloading
})
