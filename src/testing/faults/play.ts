/** Plays one seed: thousands of requests, faults at every point, and everything watched. */
import { Context, Effect, Exit, Fiber, Layer, Random, Scope } from "effect"
import { Admission } from "../../services/Admission.ts"
import { Leases } from "../../services/Leases.ts"
import { Relay } from "../../services/Relay.ts"
import { Residency } from "../../services/Residency.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import { all } from "../invariants/all.ts"
import { type Idle, type Violation, Watch } from "../invariants/sights.ts"
import * as Calls from "./calls.ts"
import { Client } from "./client.ts"
import { Dice } from "./dice.ts"
import { misfortune } from "./misfortune.ts"
import { VirtualTime } from "./virtualTime.ts"
import { type Gpus, ids, queueBytes, queueCapacity, reserve, stack, type Subjects } from "./world.ts"

/** What became of one seed. @category models @since 0.1.0 */
export interface Played {
  readonly seed: number
  readonly violations: ReadonlyArray<Violation>
  readonly hash: string
  readonly requests: number
  /** How requests ended: by result and, where refused, reason. */
  readonly ends: Readonly<Record<string, number>>
  /** Virtual milliseconds. */
  readonly elapsed: number
}

/** The first asks for most. */
const tenants = ["ants", "ants", "ants", "ants", "bees", "crows"]
const priorities = ["interactive", "default", "default", "default", "batch"] as const
const hour = 3_600_000

/**
 * Plays one seed, in virtual time: some thousand requests are played in a second. The same seed gives the same history, hash and all. Throws where the stack cannot be
 * built.
 *
 * @category running
 * @since 0.1.0
 */
export const play = (seed: number, requests: number, subjects: Subjects = {}): Played => {
  const dice = new Dice(seed)
  const time = new VirtualTime()
  // What ages goes up a class, and is out of the reach of what is fair within one: seen in some seeds, not in the others.
  const ages = seed % 3 === 0
  const { checkers, hash } = all({ reserve, queueCapacity, queueBytes, attempts: 3, fair: !ages })
  const watch = new Watch(checkers)
  const gpus: Gpus = { probe: "good", foreign: new Map() }
  const managed = seed % 2 === 0
  const shared = seed % 4 === 0
  const torn = seed % 5 === 0
  const fork = Effect.runForkWith(time.context)
  const scope = Scope.makeUnsafe()
  const build = Effect.provideService(
    Layer.buildWithScope(stack({ managed, shared, torn, ages, gpus, watch }, subjects), scope),
    Scope.Scope,
    scope,
  )
  const building = fork(Effect.exit(build).pipe(Random.withSeed(`faults ${seed}`)))
  time.runUntil(1000)
  const built = finished(building)
  if (Exit.isFailure(built)) throw new Error(String(built.cause))
  const services = built.value
  const router = Context.get(services, Router)
  const admission = Context.get(services, Admission)
  const fleet = Context.get(services, SimulatedFleet.SimulatedFleet)

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

  const underWay = new Set<Fiber.Fiber<Settled>>()
  const leave = (client: Client, fiber: Fiber.Fiber<Settled>): void => {
    if (client.closed) return
    client.leave()
    fiber.interruptUnsafe()
  }
  const ask = (n: number): void => {
    const call = dice.chance(0.02) ? dice.pick(Calls.odd) : dice.chance(0.15)
      ? dice.pick(Calls.embeds)
      // The first models are asked for more than the last.
      : dice.pick(Calls.generations[Math.min(dice.between(0, 3), dice.between(0, 3))]!)
    const request: RoutedRequest = {
      ...call,
      id: `r${n}`,
      headers: ["Content-Type", "application/json"],
      tenant: dice.pick(tenants),
      priority: dice.pick(priorities),
      receivedAt: time.currentTimeMillisUnsafe(),
      queueMillis: dice.chance(0.2) ? dice.between(50, 5000) : undefined,
    }
    // Some clients stop reading after a few writes; most of them read on later, some never do.
    const slow = dice.chance(0.03)
    const client = new Client(request, watch, time, slow ? dice.between(1, 4) : 0, (stopped) => {
      if (dice.chance(0.9)) time.at(dice.between(1, 40_000), () => stopped.unblock())
    })
    watch.tell("asked", client.answer)
    const fiber = fork(router.route(request, client))
    if (fiber.pollUnsafe() !== undefined) return
    underWay.add(fiber)
    fiber.addObserver(() => underWay.delete(fiber))
    if (dice.chance(0.05)) time.at(dice.pick([0, 3, 12, 40, 900, 20_000]), () => leave(client, fiber))
  }

  let asked = 0
  const strike = misfortune(dice, time, fleet, gpus, managed)
  while (asked < requests) {
    // A phase: so many requests at some pace, then perhaps a lull.
    const gap = dice.pick([1, 3, 8, 20, 60])
    const until = Math.min(requests, asked + dice.between(50, 400))
    while (asked < until) {
      time.runUntil(time.elapsed + Math.floor(dice.gap(gap)))
      ask(asked++)
      if (dice.chance(0.008)) strike()
      if ((asked & 3) === 0) watch.tell("queues", admission.queues())
    }
    if (dice.chance(0.3)) time.runUntil(time.elapsed + dice.between(100, 20_000))
  }

  // Everything is well again, and there is time for the longest limit.
  for (const id of ids) {
    const server = fleet.get(`http://${id}:11434`)
    server.faults.clear()
    server.up()
  }
  gpus.probe = "good"
  gpus.foreign.clear()
  const end = time.elapsed + hour
  while (underWay.size > 0 && time.elapsed < end) time.runUntil(time.elapsed + 1000)
  // A load that found no room waits on when its clients have gone, no longer than its own limit.
  const loading = () =>
    ids.some((id) => Context.get(services, Residency).list(id).some(({ state }) => state === "loading"))
  const given = time.elapsed + 400_000
  while (loading() && time.elapsed < given) time.runUntil(time.elapsed + 1000)
  // Memory on its way back, also for the last load, is given up by the time of day, which may have jumped back by a minute.
  time.runUntil(time.elapsed + 70_000)
  watch.tell("idle", idle(services, managed))
  const elapsed = time.elapsed
  fork(Scope.close(scope, Exit.void))
  time.runUntil(time.elapsed + 10_000)
  return { seed, violations: watch.violations, hash: hash(), requests, ends, elapsed }
}

/** The first violations of a seed, in words, after what a reader is told first. @category accessors @since 0.1.0 */
export const explain = ({ violations }: Played, ...first: ReadonlyArray<string>): string =>
  [
    `${violations.length} violations${first.length > 0 ? "; again with" : ""}`,
    ...first,
    ...violations.slice(0, 5).map(({ checker, invariant, what }) => `  invariant ${invariant} (${checker}): ${what}`),
  ].join("\n")

const finished = <A, E>(fiber: Fiber.Fiber<A, E>): A => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined || Exit.isFailure(exit)) throw new Error(`not built: ${String(exit?.cause)}`)
  return exit.value
}

const idle = (
  services: Context.Context<Router | Leases | Relay | Admission | VramLedger | Residency>,
  managed: boolean,
): Idle => {
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
