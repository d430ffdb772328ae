/**
 * No queue of llamero's own: what cannot start at once is refused. For routers behind another queue, for hosts that
 * keep nothing, and for tests.
 *
 * @since 0.1.0
 */
import { Deferred, Effect, Layer } from "effect"
import { Admission } from "../../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import { unused } from "../../services/Outcome.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Demand, QueueEntry } from "../../services/RoutedRequest.ts"

/** Nobody is before it, and how long a load takes is not known here. */
const onItsLoad: QueueEntry = { loading: true, place: () => ({ position: 1, waitMillis: 0 }) }

const make = Effect.map(Leases, (leases) => {
  const admit = <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refusal, R> =>
    Effect.uninterruptibleMask((restore) => {
      /**
       * Until something changes, in one step with the commit that said `loading`: nothing can change between the two.
       */
      const change = (): Effect.Effect<void> => {
        const changed = Deferred.makeUnsafe<void>()
        const stop = leases.onFree(() => Deferred.doneUnsafe(changed, Effect.void))
        demand.waiting = onItsLoad
        demand.cold = true
        return Effect.ensuring(
          // Whoever tells of a change is in the middle of it: a commit has to come after.
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
  return Admission.of({ admit, queues: () => [] })
})

/**
 * Admits what has a lease now and sheds the rest. Only a load of its own model is waited for, by the request itself:
 * it has begun for this request, and whoever comes back later would find it no further.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Admission, never, Leases> = Layer.effect(Admission, make)
