/**
 * A loaded model: its requests, its expiry, and the queue for its slots.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { SimulatedModel } from "../models/model.ts"
import type { SimulatedGpu } from "./gpu.ts"
import type { Allocation } from "./gpuMemory.ts"
import type { RunnerOptions } from "./options.ts"

/**
 * A place in a queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticket {
  state: "waiting" | "holding" | "done"
  wake: (() => void) | undefined
}

/**
 * The slots of a runner: first come, first served, with an unbounded queue, as in Ollama.
 *
 * @category models
 * @since 0.1.0
 */
export class Slots {
  #free: number
  readonly #waiting: Set<Ticket> = new Set()

  constructor(size: number) {
    this.#free = size
  }

  /** Requests waiting for a slot. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Runs an effect in a slot. */
  use<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) => {
      const ticket = this.#enter()
      const entered = ticket.state === "holding" ? effect : Effect.andThen(wait(ticket), effect)
      return Effect.ensuring(restore(entered), Effect.sync(() => this.#leave(ticket)))
    })
  }

  #enter(): Ticket {
    if (this.#free > 0) {
      this.#free--
      return { state: "holding", wake: undefined }
    }
    const ticket: Ticket = { state: "waiting", wake: undefined }
    this.#waiting.add(ticket)
    return ticket
  }

  #leave(ticket: Ticket): void {
    if (ticket.state === "waiting") this.#waiting.delete(ticket)
    if (ticket.state === "holding") {
      const next = this.#waiting.values().next().value
      if (next === undefined) this.#free++
      else {
        this.#waiting.delete(next)
        grant(next)
      }
    }
    ticket.state = "done"
  }
}

/**
 * Ends the wait of a ticket.
 *
 * @category combinators
 * @since 0.1.0
 */
export const grant = (ticket: Ticket): void => {
  ticket.state = "holding"
  ticket.wake?.()
}

/**
 * Waits until a ticket is granted, then yields: without that, a long queue would wake up inside one deep call stack.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wait = (ticket: Ticket): Effect.Effect<void> =>
  Effect.andThen(
    Effect.callback<void>((resume) => {
      if (ticket.state !== "waiting") resume(Effect.void)
      else ticket.wake = () => resume(Effect.void)
    }),
    Effect.yieldNow,
  )

/**
 * A model in memory.
 *
 * @category models
 * @since 0.1.0
 */
export class Runner {
  readonly model: SimulatedModel
  readonly options: RunnerOptions
  readonly parallelism: number
  readonly allocation: Allocation
  /** The GPUs that it computes on. Without one, nothing else slows it down. */
  readonly gpus: ReadonlyArray<SimulatedGpu>
  readonly slots: Slots
  /** Requests that hold it, running or waiting for a slot. */
  refs = 0
  /** Requests that it generates for now. */
  active = 0
  /** Its keep-alive in milliseconds, from the last request that gave one. */
  session: number
  /** When it expires, in milliseconds since 1970. Not updated while requests run. */
  expiresAt: number
  /** Whether it is unloaded when it becomes idle, for any keep-alive. */
  doomed = false
  /** Whether an unload has been asked for and waits for its turn. */
  expiring = false
  /** Whether it crashed or was unloaded: its requests then fail. */
  dead = false
  /** When its timer fires next, in milliseconds since 1970. */
  timerAt = Infinity

  constructor(
    model: SimulatedModel,
    options: RunnerOptions,
    parallelism: number,
    allocation: Allocation,
    gpus: ReadonlyArray<SimulatedGpu>,
    session: number,
  ) {
    this.model = model
    this.options = options
    this.parallelism = parallelism
    this.allocation = allocation
    this.gpus = gpus
    this.slots = new Slots(parallelism)
    this.session = session
    this.expiresAt = 0
  }
}
