/**
 * No queue of llamero's own: what cannot start at once is refused, what can starts. For routers behind another queue, and for tests.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { Admission } from "../services/Admission.ts"
import { type Commit, isLease, type Lease } from "../services/Leases.ts"
import { unused } from "../services/Outcome.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Demand } from "../services/RoutedRequest.ts"

const admit = <A, E, R>(
  demand: Demand,
  commit: (waiting: number) => Commit,
  use: (lease: Lease) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Refusal, R> =>
  Effect.uninterruptibleMask((restore): Effect.Effect<A, E | Refusal, R> => {
    const now = commit(1)
    if (isLease(now)) {
      return Effect.onExit(restore(Effect.suspend(() => use(now))), () => Effect.sync(() => now.release(unused)))
    }
    return Effect.fail(
      typeof now === "object"
        ? now
        : refuse("QueueFull", `${demand.model.key} is busy and this router does not queue`, { retryAfter: 1 }),
    )
  })

/**
 * Admits what has a lease now and sheds the rest.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Admission> = Layer.succeed(Admission, { admit, queues: () => [] })
