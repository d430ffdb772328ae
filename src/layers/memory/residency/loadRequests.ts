/**
 * Takes requests for loads.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { LoadRequest } from "../../../services/Residency.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadLoop } from "./loadLoop.ts"
import type { Load } from "./loadQueue.ts"
import { isResident } from "./snapshot.ts"

/**
 * Takes a request for a load: joins the load of the same weights, or queues a new one. `undefined` when the model is
 * resident already, or when its last load has failed and the cool-down is not over.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRequest =
  ({ contained, ledger, now, run }: Holdings, loop: LoadLoop) =>
  (held: Held, model: Model, options: LoadRequest): Load | undefined => {
    const { history, loads } = held
    const joined = loads.find(model.key)
    if (joined !== undefined) {
      if (options.evicts ?? true) loads.promote(joined)
      return joined
    }
    if (isResident(held, model, options, now()) || history.failure(model.key, now()) !== undefined) return undefined
    const queued = loads.enqueue(model, options, now())
    const prepare = contained("VramLedger.prepare", () => ledger.prepare(loads.backend, model), undefined)
    if (prepare !== undefined) {
      queued.ready = false
      run(Effect.andThen(
        Effect.exit(prepare),
        Effect.sync(() => {
          queued.ready = true
          loop.look()
        }),
      ))
    }
    loop.requested()
    return queued
  }
