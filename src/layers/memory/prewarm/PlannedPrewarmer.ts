/**
 * Loads the models that plans want before requests ask for them.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import { BackendHealth } from "../../../services/BackendHealth.ts"
import { Fleet } from "../../../services/Fleet.ts"
import { needsResident } from "../../../services/Host.ts"
import { ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { Plan, PrewarmTarget } from "../../../services/Plugin.ts"
import { Prewarmer, type PrewarmStatus } from "../../../services/Prewarmer.ts"
import { Residency } from "../../../services/Residency.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import { every } from "../../../support/every.ts"
import * as Outage from "../../../support/outage.ts"
import { type Assignment, Assignments } from "./assignments.ts"
import { dated, Evaluations } from "./evaluations.ts"
import * as PrewarmMeter from "./prewarmMeter.ts"
import { chooseBackends, warmUp, type WarmUpServices } from "./warmUp.ts"

/** @category models @since 0.1.0 */
export interface Options<R = never> {
  /** The plans in order of importance: the models of the first one are loaded first. */
  readonly plans: ReadonlyArray<Plan<R>>
  /** Time between two evaluations of the plans. Defaults to 1 second. */
  readonly interval?: Duration.Input | undefined
}

/** Targets in one turn of the event loop: each may look at every backend. */
const targetsMax = 8

/** `gates`: readiness waits for this model. */
type Status = PrewarmStatus & { readonly gates: boolean }

/** What one evaluation of a plan came to. */
interface Evaluated {
  readonly assignments: ReadonlyArray<Assignment>
  readonly statuses: ReadonlyArray<Status>
}

/** Readiness waits for a plan that has failed from the start. */
const neverEvaluated = (plan: string): Status => ({
  plan,
  model: "",
  backend: undefined,
  state: "failed",
  reason: "the plan failed",
  gates: true,
})

/** Serves single targets; remembers those that were to be loaded only once. */
const servesTargets = (services: WarmUpServices, catalog: ModelCatalog["Service"]) => {
  const loadedOnce = new Set<string>()
  return Effect.fnUntraced(function* (plan: string, target: PrewarmTarget) {
    const one = (model: string, state: PrewarmStatus["state"], reason: string) => ({
      assignments: [] as ReadonlyArray<Assignment>,
      statuses: [{ plan, model, backend: undefined, state, reason }] as ReadonlyArray<PrewarmStatus>,
    })
    const found = yield* Effect.result(catalog.find(target.model))
    if (found._tag === "Failure") return one(target.model, "failed", "no backend has it")
    const model = found.success
    const id = `${plan} ${model.key}`
    if (model.remote || loadedOnce.has(id)) return one(model.key, "resident", "")
    const backends = chooseBackends(services, model, target)
    if (backends.length === 0) return one(target.model, "failed", "no backend that has it is available")
    const statuses = backends.map((backend) => warmUp(services, plan, model, target, backend))
    if (target.once === true && statuses.every(({ state }) => state === "resident")) loadedOnce.add(id)
    return { assignments: backends.map((backend) => ({ plan, target, backend, model })), statuses }
  })
}

const instead = "NoPrewarmer, and load models with a resident router or a scheduled job of the host"

const make = <R>(options: Options<R>) =>
  Effect.gen(function* () {
    yield* needsResident("PlannedPrewarmer", instead)
    const catalog = yield* ModelCatalog
    const residency = yield* Residency
    const services = { fleet: yield* Fleet, health: yield* BackendHealth, residency, ledger: yield* VramLedger }
    const clock = yield* Clock.Clock
    const context = yield* Effect.context<R>()
    const serve = servesTargets(services, catalog)
    const assignments = new Assignments(residency)
    const interval = Duration.fromInputUnsafe(options.interval ?? "1 second")
    const plans = options.plans.map((plan) => ({
      plan,
      outage: Outage.make(),
      evaluations: new Evaluations(plan, Duration.toMillis(interval)),
    }))
    let statuses: ReadonlyArray<Status> = []
    let evaluated = false
    const meter = PrewarmMeter.make(context)
    const evaluate = Effect.fnUntraced(function* (plan: Plan<R>, evaluations: Evaluations) {
      const now = clock.currentTimeMillisUnsafe()
      const targets = yield* Effect.provideContext(plan.targets(now), context)
      evaluations.add(targets, now)
      const [wanted, found]: [Array<Assignment>, Array<Status>] = [[], []]
      for (const [i, target] of targets.entries()) {
        if (i > 0 && i % targetsMax === 0) yield* Effect.yieldNow
        const served = yield* serve(plan.name, target)
        wanted.push(...served.assignments)
        for (const status of served.statuses) found.push({ ...status, gates: target.gates === true })
      }
      return { assignments: wanted, statuses: found } as Evaluated
    })

    /**
     * A plan that throws keeps what it had, and does not stop the other plans. Readiness waits for its first success.
     */
    const unchanged = (failed: typeof plans[number], defect: unknown): Effect.Effect<Evaluated> => {
      const { evaluations, outage, plan: { name } } = failed
      evaluations.fail(defect)
      const before = statuses.filter((status) => status.plan === name)
      const log = Effect.logError(`prewarm plan ${name} failed`, defect)
      return Effect.as(outage.begins(String(defect), log), {
        assignments: assignments.of(name),
        statuses: before.length === 0 ? [neverEvaluated(name)] : before,
      })
    }

    const evaluateAll = Effect.gen(function* () {
      const all = yield* Effect.forEach(plans, (each) =>
        Effect.catchDefect(
          Effect.tap(
            Effect.suspend(() => evaluate(each.plan, each.evaluations)),
            () => each.outage.ends(Effect.logInfo(`prewarm plan ${each.plan.name} works again`)),
          ),
          (defect) => unchanged(each, defect),
        ))
      assignments.update(all.flatMap((each) => each.assignments))
      const found = meter(statuses, all.flatMap((each) => each.statuses))
      statuses = dated(statuses, found, clock.currentTimeMillisUnsafe())
      evaluated = true
    })
    yield* Effect.forkScoped(every(interval, evaluateAll))
    yield* Effect.addFinalizer(() => Effect.sync(() => assignments.release()))

    return Prewarmer.of({
      status: () => statuses,
      plans: () => plans.map(({ evaluations }) => evaluations.status()),
      ready: () => evaluated && statuses.every(({ gates, state }) => !gates || state === "resident"),
    })
  })

/**
 * Evaluates the plans on a schedule and loads the models that are missing. On each backend one such load runs at a
 * time, after all loads that requests wait for.
 *
 * **Details**
 *
 * - A model is loaded only into free memory, unless its target may evict other models. If the memory is taken before
 *   the load begins, the load is dropped.
 * - A model counts as loaded when `/api/ps` shows all of it on GPUs.
 * - If a target names no backends, those that have the model in memory come first, then those with the most free
 *   memory.
 * - A plan that throws is logged, keeps what it had, and does not stop the other plans.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R>,
): Layer.Layer<Prewarmer, never, Fleet | BackendHealth | ModelCatalog | Residency | VramLedger | NoInfer<R>> =>
  Layer.effect(Prewarmer, make(options))
