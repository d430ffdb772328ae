/**
 * The pipeline of a request: guards, coalescing, admission, attempts, settled.
 *
 * @since 0.1.0
 */
import { Clock, Effect, type Exit, Layer } from "effect"
import type { Admission } from "../../services/Admission.ts"
import type { Coalescer } from "../../services/Coalescer.ts"
import type { Leases } from "../../services/Leases.ts"
import type * as Live from "../../services/Live.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Placement } from "../../services/Placement.ts"
import type { GuardInput, GuardNeeds, RetryPolicy } from "../../services/Plugin.ts"
import type { Relay } from "../../services/Relay.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { type Route, Router, type Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import type { TokenEstimator } from "../../services/TokenEstimator.ts"
import { Tracing } from "../../services/Tracing.ts"
import { type ClientOptions, policy } from "./clientOptions.ts"
import * as Guards from "./guards.ts"
import * as Heartbeats from "./heartbeats.ts"
import * as OtherClients from "./otherClients.ts"
import * as MissingPaths from "./missingPaths.ts"
import { draining } from "./refusals.ts"
import * as RefusedEvent from "./refusedEvent.ts"
import * as PipelineFailures from "./pipelineFailures.ts"
import { Run } from "./requestState.ts"
import * as RoutingTime from "./routingTime.ts"
import * as Settling from "./settling.ts"
import * as Stages from "./stages.ts"
import * as Started from "./started.ts"
import * as UnderWay from "./underWay.ts"
import * as Unload from "./unload.ts"

/** @category models @since 0.1.0 */
export interface Options<G extends ReadonlyArray<GuardInput<unknown>> = []> {
  /** Checked in this order, before a request is queued. Defaults to none. */
  readonly guards?: G | undefined
  /** Defaults to a policy that never makes a second attempt. */
  readonly retry?: RetryPolicy | undefined
  /**
   * Milliseconds of silence after which a streamed answer gets a heartbeat. Defaults to `15000`, a quarter of the
   * silence after which nginx closes a connection (`proxy_read_timeout`, 60 seconds).
   */
  readonly heartbeatMillis?: number | undefined
  /** How to treat `num_ctx`, `keep_alive` and other options that can make a backend load a model again. */
  readonly clientOptions?: ClientOptions | undefined
  /**
   * Placements a second that are published as `Placed` events, with all candidates and reasons: those of requests that
   * wait, are refused or are tried again, and as many others as half of the number. `DecisionHistory` keeps them. To
   * record one takes time for each backend that has the model. Defaults to `0`: none.
   */
  readonly placementsPerSecond?: Live.Input<number> | undefined
  /**
   * Whether backends get the clients' `Authorization`, `Cookie` and API key headers. Defaults to `false`: they are
   * credentials for the router.
   */
  readonly forwardCredentials?: boolean | undefined
}

const noRetry: RetryPolicy = { kind: "retry", name: "none", seen: () => {}, decide: () => "give-up" }

const make = (options: Options<ReadonlyArray<GuardInput<unknown>>>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const events = yield* RouterEvents
    const guards = yield* Guards.make(options.guards ?? [], clock)
    const settle = yield* Settling.make
    const active = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    const clients = policy(options.clientOptions)
    const companyOf = OtherClients.make(active, yield* ModelCatalog)
    const unloading = yield* Unload.make(clients, companyOf)
    const shared = yield* Heartbeats.make(options.heartbeatMillis ?? 15_000)
    const stages = yield* Stages.make({
      guards,
      retry: options.retry ?? noRetry,
      clients,
      companyOf,
      unload: unloading.unload,
      forwardCredentials: options.forwardCredentials ?? false,
      recordsPerSecond: options.placementsPerSecond ?? 0,
      missing: yield* MissingPaths.make,
      shared,
    })
    const contained = PipelineFailures.make(guards, stages.from)
    const forkHere = Effect.runForkWith(yield* Effect.context<never>())
    const timing = RoutingTime.sampler(clock)
    const tracing = yield* Tracing
    if (tracing !== undefined) yield* events.subscribe(tracing.take)
    let isDraining = false

    const begin = (request: RoutedRequest, reply: ReplySink): Run => {
      const run = new Run(request, reply)
      run.timing = timing()
      if (tracing !== undefined) run.trace = tracing.begin(request)
      active.add(run)
      return run
    }
    const settled = (run: Run, exit: Exit.Exit<Settled>): void => {
      active.remove(run)
      unloading.settled()
      settle(run, exit)
    }
    const whole = (run: Run, routing: Effect.Effect<Settled, Refusal>): Effect.Effect<Settled> =>
      Effect.onExit(contained(run, routing), (exit) => Effect.sync(() => settled(run, exit)))
    const steps: Started.Steps = {
      now: (run) => isDraining ? draining : stages.now(run),
      attempts: stages.attempts,
      fork: (run, rest) => forkHere(whole(run, rest)),
      settle: settled,
    }

    const route: Route = (request, reply) =>
      Effect.suspend(() => {
        const run = begin(request, reply)
        // The second `suspend` turns what a plugin throws into a defect, which `contained` handles.
        return whole(run, Effect.suspend(() => isDraining ? draining : stages.from(run, 0)))
      })
    const start: Route["start"] = (request, reply, ended) =>
      new Started.Started(begin(request, reply), steps, ended).begin()

    return Router.of({
      active: () => active.size,
      underWay: UnderWay.make([active, shared]),
      draining: () => isDraining,
      refused: (request) => events.publish(RefusedEvent.make(request, clock, tracing)),
      retryBudget: () => options.retry?.budget?.(clock.currentTimeMillisUnsafe()),
      drain: Effect.sync(() => void (isDraining = true)),
      route: Object.assign(route, { start }),
    })
  })

/** The services that the pipeline uses. @category models @since 0.1.0 */
export type Needs =
  | Admission
  | Coalescer
  | Leases
  | ModelCatalog
  | Placement
  | Relay
  | Residency
  | RouterEvents
  | TokenEstimator

/**
 * A router over the deployer's layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const G extends ReadonlyArray<GuardInput<unknown>> = []>(
  options?: Options<G>,
): Layer.Layer<Router, never, Needs | GuardNeeds<G[number]>> =>
  // `G` says what each guard needs. The compiler cannot see that together they need what is stated here.
  Layer.effect(Router, make(options ?? {}) as Effect.Effect<Router["Service"], never, Needs | GuardNeeds<G[number]>>)
