/**
 * Loads a busy model on more backends.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Leases } from "../../services/Leases.ts"
import { type Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Plan, PrewarmTarget } from "../../services/Plugin.ts"

/**
 * Wants a model on one backend more when at least `busyMin` of its slots were taken for `hotMillis`, until fewer were
 * taken for `coolMillis`. The model is loaded into free memory only.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** The share of the model's slots that must be taken, from 0 to 1. Defaults to `0.8`. */
  readonly busyMin?: number | undefined
  /** Milliseconds for which the slots must be taken. Defaults to 10 seconds. */
  readonly hotMillis?: number | undefined
  /** Milliseconds until the model is no longer wanted on the additional backend. Defaults to 5 minutes. */
  readonly coolMillis?: number | undefined
  /** The most backends for one model. Defaults to `2`. */
  readonly replicasMax?: number | undefined
}): Plan<Leases | ModelCatalog> => {
  const busyMin = options?.busyMin ?? 0.8
  const hotMillis = options?.hotMillis ?? 10_000
  const coolMillis = options?.coolMillis ?? 300_000
  const replicasMax = options?.replicasMax ?? 2
  const busySince = new Map<string, number>()
  const hotAt = new Map<string, { readonly at: number; readonly replicas: number }>()

  const look = (leases: Leases["Service"], model: Model, now: number): PrewarmTarget | undefined => {
    const warm = leases.view.owners(model).filter((view) => view.residency(model) === "resident")
    const slots = warm.reduce((sum, view) => sum + view.limitOf(model), 0)
    const streams = warm.reduce((sum, view) => sum + view.streamsOf(model), 0)
    if (slots === 0 || streams < busyMin * slots) busySince.delete(model.key)
    else if (!busySince.has(model.key)) busySince.set(model.key, now)
    const since = busySince.get(model.key)
    if (since !== undefined && now - since >= hotMillis) {
      hotAt.set(model.key, { at: now, replicas: Math.min(replicasMax, warm.length + 1) })
    }
    const hot = hotAt.get(model.key)
    if (hot === undefined) return undefined
    if (now - hot.at <= coolMillis) return { model: model.key, replicas: hot.replicas }
    hotAt.delete(model.key)
    return undefined
  }

  return {
    kind: "plan",
    name: "replica",
    targets: (now) =>
      Effect.gen(function* () {
        const leases = yield* Leases
        const catalog = yield* ModelCatalog
        const models = catalog.models()
        const keys = new Set(models.map(({ key }) => key))
        // Models that no backend has any more.
        for (const map of [busySince, hotAt]) for (const key of map.keys()) if (!keys.has(key)) map.delete(key)
        return models.flatMap((model) => model.remote ? [] : look(leases, model, now) ?? [])
      }),
  }
}
