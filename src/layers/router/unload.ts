/**
 * Answers a request that only unloads a model. It never becomes a load.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Fiber, FiberMap, Result } from "effect"
import { Leases } from "../../services/Leases.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { success } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { Residency } from "../../services/Residency.ts"
import type { Settled } from "../../services/Router.ts"
import type { Policy } from "./clientOptions.ts"
import type { CompanyOf } from "./otherClients.ts"
import type { Run } from "./requestState.ts"
import * as Answer from "./unloadAnswer.ts"
import { type Asked, type Facts, look, no } from "./unloadLook.ts"

/** Milliseconds to wait for the client's own requests, where the client does not say how long it waits. */
const waitMillis = 300_000

/** Unloads that may wait for requests at one time. Each of them looks again whenever a request ends. */
const waitingMax = 256

const tooMany = refuse("QueueFull", "too many unloads are waiting", { retryAfter: 1 })

/** @internal */
export interface Unloading {
  /** Answers once the model has left the memory of every backend, or refuses. */
  readonly unload: (run: Run, model: Model) => Effect.Effect<Settled, Refusal>
  /** A request has ended: what waits for it looks again. */
  readonly settled: () => void
}

/** Looks now, and again after each change that may lead to another answer. `waiting` has the looks of all unloads. */
const gone = (facts: Facts, waiting: Set<() => void>, run: Run, model: Model): Effect.Effect<void, Refusal> =>
  Effect.callback((resume) => {
    const asked: Asked = new Map()
    let looking = false
    let again = false
    let over = false
    const stop = (): void => {
      over = true
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
        const seen = Result.try(() => look(facts, run, model, asked))
        if (Result.isSuccess(seen) && seen.success === "wait") continue
        stop()
        if (Result.isFailure(seen)) return resume(Effect.die(seen.failure))
        return resume(typeof seen.success === "string" ? Effect.void : Effect.fail(seen.success))
      }
      looking = false
    }
    const stops = [facts.residency.onChange(changed), facts.leases.onFree(changed)]
    changed()
    if (over) return
    // One that a backend was already asked for is not refused.
    if (waiting.size < waitingMax || asked.size > 0) waiting.add(changed)
    else {
      stop()
      return resume(Effect.fail(tooMany))
    }
    return Effect.sync(stop)
  })

/** @internal */
export const make = Effect.fnUntraced(function* (clients: Policy, companyOf: CompanyOf) {
  const clock = yield* Clock.Clock
  const residency = yield* Residency
  const facts: Facts = { clients, companyOf, clock, leases: yield* Leases, residency }
  const readings = yield* Effect.flatMap(FiberMap.make<"reading">(), (map) => FiberMap.runtime(map)())
  const waiting = new Set<() => void>()

  /** A model may have been loaded since the last reading, by somebody who does not use the router. */
  const read = Effect.suspend(() => Fiber.await(readings("reading", residency.refresh, { onlyIfMissing: true })))

  return {
    settled: () => {
      if (waiting.size > 0) { for (const each of Array.from(waiting)) each() }
    },
    unload: (run, model) =>
      Effect.gen(function* () {
        yield* read
        yield* Effect.timeoutOrElse(gone(facts, waiting, run, model), {
          duration: Duration.millis(run.request.queueMillis ?? waitMillis),
          orElse: () => Effect.fail(no(run, "requests of yours still use it or wait for it")),
        })
        run.outcome = success
        Answer.write(run, clock.currentTimeMillisUnsafe())
        return run.end("answered", 200, undefined)
      }),
  } satisfies Unloading
})
