/** The clients of one seed: what they ask, how they read, and when they leave. */
import { Context, type Fiber } from "effect"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { asServersDo, type Way } from "../routers.ts"
import * as Calls from "./calls.ts"
import { Client } from "./client.ts"
import type { Running } from "./running.ts"
import type { SeededRandom } from "./seededRandom.ts"

/** The first tenant asks for most. */
const tenants = ["ants", "ants", "ants", "ants", "bees", "crows"]
const priorities = ["interactive", "default", "default", "default", "batch"] as const

export class Clients {
  private readonly underWay = new Set<Fiber.Fiber<Settled>>()
  private readonly random: SeededRandom
  private readonly running: Running
  /** The way in which servers call the router. */
  private readonly way: Way

  constructor(random: SeededRandom, running: Running) {
    this.random = random
    this.running = running
    this.way = asServersDo(Context.get(running.services, Router))
  }

  /** Requests that have not ended. */
  get waiting(): number {
    return this.underWay.size
  }

  /** The client `n` asks. */
  ask(n: number): void {
    const { fork, time, watch } = this.running
    const { random } = this
    const request = this.request(n)
    // Some clients stop reading after a few writes. Most of these read on later, some never do.
    const slow = random.chance(0.03)
    const client = new Client(request, watch, time, slow ? random.between(1, 4) : 0, (stopped) => {
      if (random.chance(0.9)) time.at(random.between(1, 40_000), () => stopped.unblock())
    })
    watch.tell("asked", client.answer)
    const fiber = fork(this.way(request, client))
    if (fiber.pollUnsafe() !== undefined) return
    this.underWay.add(fiber)
    fiber.addObserver(() => this.underWay.delete(fiber))
    if (!random.chance(0.05)) return
    time.at(random.pick([0, 3, 12, 40, 900, 20_000]), () => {
      if (client.closed) return
      client.leave()
      fiber.interruptUnsafe()
    })
  }

  private request(n: number): RoutedRequest {
    const { random } = this
    const call = random.chance(0.02) ? random.pick(Calls.odd) : random.chance(0.15)
      ? random.pick(Calls.embeds)
      // The first models are asked for more than the last.
      : random.pick(Calls.generations[Math.min(random.between(0, 3), random.between(0, 3))]!)
    return {
      ...call,
      id: `r${n}`,
      headers: ["Content-Type", "application/json"],
      tenant: random.pick(tenants),
      priority: random.pick(priorities),
      receivedAt: this.running.time.currentTimeMillisUnsafe(),
      queueMillis: random.chance(0.2) ? random.between(50, 5000) : undefined,
    }
  }
}
