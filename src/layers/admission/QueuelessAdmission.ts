/**
 * An admission without a queue: a request that cannot start at once is shed. For routers behind another queue, for
 * serverless hosts, and for tests.
 *
 * @since 0.1.0
 */
import { Deferred, Effect, Layer } from "effect"
import { Admission, type Admitted } from "../../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import { unused } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Demand, QueueEntry } from "../../services/RoutedRequest.ts"

/** The place of a request that waits for a load. No request is before it; how long the load takes is not known. */
const onItsLoad: QueueEntry = { loading: true, place: () => ({ position: 1, waitMillis: 0 }) }

const make = Effect.map(Leases, (leases) => {
  const admit = <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refusal, R> =>
    Effect.uninterruptibleMask((restore) => {
      /** Waits for a change. The listener is added in the same step as the commit, so that no change is missed. */
      const change = (): Effect.Effect<void> => {
        const changed = Deferred.makeUnsafe<void>()
        const stop = leases.onFree(() => Deferred.doneUnsafe(changed, Effect.void))
        demand.waiting = onItsLoad
        demand.cold = true
        return Effect.ensuring(
          // The listener is called in the middle of the change: the commit has to come after the change.
          restore(Effect.andThen(Deferred.await(changed), Effect.yieldNow)),
          Effect.sync(() => {
            stop()
            demand.waiting = undefined
          }),
        )
      }
      const attempt = (): Effect.Effect<A, E | Refusal, R> => {
        const now = commit(1)
        if (isLease(now)) {
          return Effect.onExit(restore(Effect.suspend(() => use(now))), () => Effect.sync(() => now.release(unused)))
        }
        if (now === "loading") return Effect.flatMap(change(), attempt)
        return Effect.fail(
          now === "wait"
            ? refuse("QueueFull", `${demand.model.key} is busy and this router does not queue`, { retryAfter: 1 })
            : now,
        )
      }
      return attempt()
    })
  const now = (_demand: Demand, commit: (waiting: number) => Commit): Admitted | undefined => {
    const lease = commit(1)
    return isLease(lease) ? { lease, end: () => lease.release(unused) } : undefined
  }
  return Admission.of({ admit: Object.assign(admit, { now }), queues: () => [] })
})

/**
 * Admits a request that gets a lease now, and sheds any other. A request waits only for a load of its own model: the
 * load has begun for this request, and a client that came back later would wait for the same load.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Admission, never, Leases> = Layer.effect(Admission, make)
