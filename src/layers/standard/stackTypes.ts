/**
 * The places of the standard stack, and what the compiler works out about layers and plugins that are put into them.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import type { Admission } from "../../services/Admission.ts"
import type { BackendHealth } from "../../services/BackendHealth.ts"
import type { Breaker } from "../../services/Breaker.ts"
import type { Coalescer } from "../../services/Coalescer.ts"
import type { Fleet } from "../../services/Fleet.ts"
import type { Leases } from "../../services/Leases.ts"
import type { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Placement } from "../../services/Placement.ts"
import type { GuardNeeds, Observer, Plan } from "../../services/Plugin.ts"
import type { Prewarmer } from "../../services/Prewarmer.ts"
import type { Relay } from "../../services/Relay.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Router } from "../../services/Router.ts"
import type { RouterEvents } from "../../services/RouterEvents.ts"
import type { TokenEstimator } from "../../services/TokenEstimator.ts"
import type { Transport } from "../../services/Transport.ts"
import type { VramLedger } from "../../services/VramLedger.ts"

/** What the stack needs from outside: which backends exist, and how to reach them. @category models @since 0.1.0 */
export type Needs = Fleet | OllamaApi | Transport

/**
 * The places of the stack, from the bottom up: the service that a layer in this place provides, and the services that
 * it may use, which are those of the places below it. A layer that needs another service adds it to the requirements of
 * the whole stack, and the compiler names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  readonly events: [provides: RouterEvents, given: Needs]
  readonly breaker: [provides: Breaker, given: Needs | RouterEvents]
  readonly health: [provides: BackendHealth, given: Places["breaker"][1] | Breaker]
  readonly catalog: [provides: ModelCatalog, given: Places["health"][1] | BackendHealth]
  readonly ledger: [provides: VramLedger, given: Places["catalog"][1] | ModelCatalog]
  readonly residency: [provides: Residency, given: Places["ledger"][1] | VramLedger]
  readonly leases: [provides: Leases, given: Places["residency"][1] | Residency]
  readonly relay: [provides: Relay, given: Places["leases"][1] | Leases]
  readonly placement: [provides: Placement, given: Places["relay"][1] | Relay]
  readonly admission: [provides: Admission, given: Places["placement"][1] | Placement]
  readonly tokens: [provides: TokenEstimator, given: Places["admission"][1] | Admission]
  readonly coalescer: [provides: Coalescer, given: Places["tokens"][1] | TokenEstimator]
  readonly router: [provides: Router, given: Places["coalescer"][1] | Coalescer]
  readonly prewarmer: [provides: Prewarmer, given: Places["router"][1] | Router]
}

/** All services of the stack. @category models @since 0.1.0 */
export type Provides = Places[keyof Places][0]

/** The errors with which swapped layers may fail to build. @internal */
export type Errors<S> = { [K in keyof S]-?: S[K] extends Layer.Layer<infer _A, infer E, infer _R> ? E : never }[keyof S]

/** A function that returns no Effect says nothing about its requirements (`unknown`): it has none. */
type Said<R> = unknown extends R ? never : R

/** The services that a plugin requires and that the stack around it does not have. */
type Asks<P> = P extends { readonly kind: "plan" }
  ? P extends Plan<infer R> ? Exclude<Said<R>, Places["prewarmer"][1]> : never
  : P extends Observer<infer R> ? Exclude<Said<R>, Needs | Provides>
  : Exclude<Said<GuardNeeds<P>>, Places["router"][1]>

/** What swapped layers and plugins require and the stack does not have. @internal */
export type Lacks<S> = {
  [K in keyof S]-?: S[K] extends Layer.Layer<infer _A, infer _E, infer R>
    ? Exclude<R, K extends keyof Places ? Places[K][1] : never>
    : K extends "guards" | "plans" | "observers" ? S[K] extends ReadonlyArray<infer P> ? Asks<P> : never
    : never
}[keyof S]
