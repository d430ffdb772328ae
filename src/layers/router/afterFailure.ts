/**
 * Decides what follows a failed attempt: another attempt, the backend's own error answer, or a refusal.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import type { BackendView } from "../../services/FleetView.ts"
import { Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import { notOffered, type Outcome } from "../../services/Outcome.ts"
import { Placement } from "../../services/Placement.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Attempt, BackendAnswer } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { missingModel } from "../../wire/missingModel.ts"
import * as HeldAnswer from "./heldAnswer.ts"
import type { MissingPaths } from "./missingPaths.ts"
import type { Run } from "./requestState.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** An attempt that failed before the client got anything of it. @internal */
export type Failed = Attempt & { readonly _tag: "Retry" }

/** @internal */
export interface AfterFailure {
  /** Records that an attempt on a backend failed. */
  readonly record: (run: Run, demand: Demand, backend: string, attempt: Attempt) => void
  /** Ends the request, or makes another attempt with `again`, which gets a demand without the failed backends. */
  readonly next: (
    run: Run,
    demand: Demand,
    reply: ReplySink,
    failed: Failed,
    again: (elsewhere: Demand) => Effect.Effect<Settled, Refusal>,
  ) => Effect.Effect<Settled, Refusal>
}

/** @internal */
export const make = Effect.fnUntraced(function* (retry: RetryPolicy, missing: MissingPaths) {
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents
  const leases = yield* Leases
  const placement = yield* Placement
  const residency = yield* Residency

  /** A backend that names the model in a 404 no longer has it. Another 404 may say that it never had the path. */
  const forgetMissing = (run: Run, demand: Demand, backend: string, attempt: Attempt): void => {
    if (attempt._tag !== "Retry" || attempt.answer === undefined) return
    const { answer, outcome } = attempt
    if (outcome.cause === notOffered.cause) {
      run.notOffered++
      return missing.add(run.request.endpoint.upstreamPath, backend, answer.body)
    }
    const named = missingModel(answer.status, answer.body)
    if (named === undefined || ModelName.canonical(named) !== demand.model.key) return
    residency.forget(backend, demand.model)
    catalog.forget(backend, demand.model)
  }

  const publish = (run: Run, demand: Demand, backend: string, outcome: Outcome): void => {
    const at = clock.currentTimeMillisUnsafe()
    TracedAttempts.ended(run.trace, backend, outcome, run.firstByteAt, at)
    events.publish({ _tag: "AttemptFailed", at, id: demand.id, backend, cause: outcome.cause })
  }

  const next: AfterFailure["next"] = (run, demand, reply, failed, again) => {
    const { answer, outcome } = failed
    const backend = run.backend!
    const { cause } = outcome
    const now = clock.currentTimeMillisUnsafe()
    forgetMissing(run, demand, backend, failed)
    const isNotOffered = cause === notOffered.cause
    const lacking = isNotOffered ? missing.backends(run.request.endpoint.upstreamPath) : []
    const elsewhere: Demand = { ...demand, excluded: [...demand.excluded, ...run.alsoFailed, backend, ...lacking] }
    const retries = placement.rank(elsewhere, leases.view).size > 0 &&
      // The backend has done nothing, so this is no retry. It happens once for each backend and path.
      (isNotOffered || (anotherMaySucceed(cause, demand, leases.view.find(backend)) &&
        retry.decide({ demand, backend, outcome, attempts: run.attempts - run.notOffered }, now) === "elsewhere"))
    // The event of the request itself tells of an attempt whose answer the client gets.
    if (!retries && answer !== undefined) return Effect.sync(() => passOn(run, reply, answer))
    publish(run, demand, backend, outcome)
    return retries ? again(elsewhere) : Effect.fail(finalRefusal(demand, outcome))
  }

  const afterFailure: AfterFailure = {
    record: (run, demand, backend, attempt) => {
      forgetMissing(run, demand, backend, attempt)
      publish(run, demand, backend, attempt.outcome)
    },
    next,
  }
  return afterFailure
})

/**
 * Whether an attempt on another backend can end better. A backend that is silent while it is busy, or before it has
 * loaded the model, may only be slow: a second one would then do the same work. A call that cannot be sent to one
 * backend cannot be sent to any.
 */
const anotherMaySucceed = (cause: string, { model }: Demand, view: BackendView | undefined): boolean =>
  cause === "first-byte-timeout"
    ? view !== undefined && view.streams === 0 && (model.remote || view.residency(model) === "resident")
    : cause !== "invalid-call"

/** The refusal after the last attempt, when no backend gave an answer. */
const finalRefusal = ({ model }: Demand, { cause }: Outcome): Refusal => {
  switch (cause) {
    case "first-byte-timeout":
      return refuse("BackendFailed", `the backend of ${model.key} did not answer in time`, { status: 504 })
    case "exhausted":
      return refuse("NoBackend", "the router cannot open more connections", { retryAfter: 1 })
    case "invalid-call":
      return refuse("Internal", "the request cannot be passed on")
    default:
      return refuse("BackendFailed", `the backend of ${model.key} failed before it answered`, { retryAfter: 1 })
  }
}

/** Gives the backend's error answer to the client. */
const passOn = (run: Run, reply: ReplySink, answer: BackendAnswer): Settled => {
  HeldAnswer.send(reply, answer)
  return run.end("answered", answer.status, undefined)
}
