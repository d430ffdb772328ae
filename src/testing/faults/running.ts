/** The stack of one seed, built and running in virtual time. */
import { Context, Effect, Exit, Fiber, Layer, Random, Scope } from "effect"
import { Admission } from "../../services/Admission.ts"
import { Leases } from "../../services/Leases.ts"
import { Relay } from "../../services/Relay.ts"
import { Residency } from "../../services/Residency.ts"
import { Router } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import { all } from "../invariants/all.ts"
import type { Idle } from "../invariants/observations.ts"
import { Watch } from "../invariants/watch.ts"
import { VirtualTime } from "./virtualTime.ts"
import { type Conditions, type Gpus, ids, stack, type Subjects } from "./world.ts"

export interface Running {
  readonly conditions: Conditions
  readonly time: VirtualTime
  readonly watch: Watch
  readonly gpus: Gpus
  /** A hash over everything that was observed. */
  readonly hash: () => string
  readonly services: Context.Context<
    | Admission
    | Leases
    | Relay
    | Residency
    | Router
    | RouterEvents
    | SimulatedFleet.SimulatedFleet
    | VramLedger
  >
  /** Starts a fiber in virtual time. */
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** How requests ended so far: by result and status, or by the reason of the refusal. */
  readonly ends: Readonly<Record<string, number>>
  /** Closes the stack. */
  readonly close: () => void
}

const finished = <A, E>(fiber: Fiber.Fiber<A, E>): A => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) throw new Error("the stack was not built within a second of virtual time")
  if (Exit.isFailure(exit)) throw new Error(`the stack cannot be built: ${String(exit.cause)}`)
  return exit.value
}

/** Builds the stack. Throws where that fails or takes more than a second of virtual time. */
export const start = (seed: number, conditions: Conditions, subjects: Subjects): Running => {
  const time = new VirtualTime()
  const { checkers, hash } = all(conditions.bounds)
  const watch = new Watch(checkers)
  const gpus: Gpus = { probe: "good", foreign: new Map() }
  const fork = Effect.runForkWith(time.context)
  const scope = Scope.makeUnsafe()
  const build = Effect.provideService(
    Layer.buildWithScope(stack(conditions, subjects, gpus, watch), scope),
    Scope.Scope,
    scope,
  )
  const building = fork(build.pipe(Random.withSeed(`faults ${seed}`)))
  time.runUntil(1000)
  const services = finished(building)
  const ends: Record<string, number> = {}
  fork(Scope.provide(
    Context.get(services, RouterEvents).subscribe((event) => {
      watch.tell("event", event)
      if (event._tag !== "RequestSettled") return
      const { refusal, result, status } = event.settled
      const end = refusal === undefined ? `${result} ${result === "answered" ? status : ""}`.trim() : refusal.reason
      ends[end] = (ends[end] ?? 0) + 1
    }),
    scope,
  ))
  const close = () => {
    fork(Scope.close(scope, Exit.void))
    time.runUntil(time.elapsed + 10_000)
  }
  return { conditions, time, watch, gpus, hash, services, fork, ends, close }
}

/** What the router holds now. */
export const idleState = ({ conditions: { managed }, services }: Running): Idle => {
  const leases = Context.get(services, Leases)
  const residency = Context.get(services, Residency)
  return {
    active: Context.get(services, Router).active(),
    leases: leases.count(),
    exchanges: Context.get(services, Relay).active(),
    queues: Context.get(services, Admission).queues().length,
    streams: leases.view.backends.reduce((sum, { streams }) => sum + streams, 0),
    allocations: managed
      ? Context.get(services, VramLedger).allocations().map(({ backend, model }) => `${backend} ${model}`).sort()
      : undefined,
    resident: ids.flatMap((id) => residency.list(id).map(({ model }) => `${id} ${model}`)).sort(),
  }
}
