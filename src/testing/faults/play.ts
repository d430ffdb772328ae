/** Plays one seed: thousands of requests and faults, with every invariant watched. */
import { Context } from "effect"
import { Admission } from "../../services/Admission.ts"
import { Residency } from "../../services/Residency.ts"
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import type { Bounds } from "../invariants/all.ts"
import type { Exercise, Violation } from "../invariants/watch.ts"
import { Clients } from "./clients.ts"
import { randomFault } from "./randomFault.ts"
import { idleState, type Running, start } from "./running.ts"
import { SeededRandom } from "./seededRandom.ts"
import { conditionsOf, ids, type Subjects, url } from "./world.ts"

/** What one seed came to. @category models @since 0.1.0 */
export interface Played {
  readonly seed: number
  readonly violations: ReadonlyArray<Violation>
  /** How often each invariant was exercised. */
  readonly exercised: ReadonlyArray<Exercise>
  /** A hash over everything that was observed: equal for two runs of one seed. */
  readonly hash: string
  readonly requests: number
  /** How requests ended: by result and status, or by the reason of the refusal. */
  readonly ends: Readonly<Record<string, number>>
  /** Virtual milliseconds. */
  readonly elapsed: number
}

const hour = 3_600_000

/** Requests in phases of different pace, with faults between them. */
const askUnderFaults = (clients: Clients, requests: number, random: SeededRandom, running: Running): void => {
  const { conditions, gpus, services, time, watch } = running
  const admission = Context.get(services, Admission)
  const fault = randomFault(
    random,
    time,
    Context.get(services, SimulatedFleet.SimulatedFleet),
    gpus,
    conditions.managed,
  )
  for (let asked = 0; asked < requests;) {
    const gap = random.pick([1, 3, 8, 20, 60])
    const until = Math.min(requests, asked + random.between(50, 400))
    while (asked < until) {
      time.runUntil(time.elapsed + Math.floor(random.gap(gap)))
      clients.ask(asked++)
      if (random.chance(0.014)) fault()
      if ((asked & 3) === 0) watch.tell("queues", admission.queues())
    }
    if (random.chance(0.3)) time.runUntil(time.elapsed + random.between(100, 45_000))
  }
}

/**
 * Requests to backends that answer every inference with 500, then, after the 35 seconds that an opened breaker needs to
 * become half-open, requests to backends that are well. Random faults open breakers too rarely to rely on.
 */
const askThroughBreakers = (
  clients: Clients,
  from: number,
  to: number,
  random: SeededRandom,
  { services, time }: Running,
): void => {
  const fleet = Context.get(services, SimulatedFleet.SimulatedFleet)
  const ask = (first: number, last: number): void => {
    for (let n = first; n < last; n++) {
      time.runUntil(time.elapsed + Math.floor(random.gap(20)))
      clients.ask(n)
    }
  }
  const half = Math.floor((from + to) / 2)
  const clear = ids.flatMap((id) =>
    ["/api/chat", "/api/generate", "/v1/*"].map((path) =>
      fleet.get(url(id)).faults.set(SimulatedFleet.Fault.internal, { path })
    )
  )
  ask(from, half)
  for (const end of clear) end()
  time.runUntil(time.elapsed + 35_000)
  ask(half, to)
}

/** Ends all faults, and lets the longest limits of the router pass. */
const recover = (clients: Clients, { gpus, services, time }: Running): void => {
  const fleet = Context.get(services, SimulatedFleet.SimulatedFleet)
  for (const id of ids) {
    const server = fleet.get(url(id))
    server.faults.clear()
    server.up()
  }
  gpus.probe = "good"
  gpus.foreign.clear()
  const runWhile = (holds: () => boolean, millis: number): void => {
    const end = time.elapsed + millis
    while (holds() && time.elapsed < end) time.runUntil(time.elapsed + 1000)
  }
  runWhile(() => clients.waiting > 0, hour)
  // A load that found no room goes on waiting without its clients, up to a limit of its own.
  const residency = Context.get(services, Residency)
  runWhile(() => ids.some((id) => residency.list(id).some(({ state }) => state === "loading")), 400_000)
  // Released memory is given up by the time of day, which may have jumped back by a minute.
  time.runUntil(time.elapsed + 70_000)
}

/**
 * Plays one seed in virtual time, synchronously: about a thousand requests in a second of real time. The same arguments
 * give the same history, with the same hash. Throws where the stack cannot be built.
 *
 * @category running
 * @since 0.1.0
 */
export const play = (
  seed: number,
  requests: number,
  subjects: Subjects = {},
  /** As in `Options.bounds`. */
  bounds: Partial<Bounds> = {},
): Played => {
  const random = new SeededRandom(seed)
  const running = start(seed, conditionsOf(seed, subjects, bounds), subjects)
  const { hash, time, watch } = running
  const clients = new Clients(random, running)
  const most = requests - Math.min(200, Math.floor(requests * 0.15))
  askUnderFaults(clients, most, random, running)
  askThroughBreakers(clients, most, requests, random, running)
  recover(clients, running)
  watch.tell("idle", idleState(running))
  const elapsed = time.elapsed
  running.close()
  return {
    seed,
    violations: watch.violations,
    exercised: watch.exercised(),
    hash: hash(),
    requests,
    ends: running.ends,
    elapsed,
  }
}
