/**
 * A loaded model: who uses it, until when it stays, and the queue in front of it.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { SimulatedModel } from "../models/model.ts"
import type { Allocation } from "./gpuMemory.ts"
import type { RunnerOptions } from "./options.ts"

/**
 * A place in the queue of a runner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticket {
  state: "waiting" | "holding" | "done"
  wake: (() => void) | undefined
}

/**
 * The slots of a runner: first come, first served, and no bound on the queue, as in Ollama.
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
 * Gives a waiter what it waits for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const grant = (ticket: Ticket): void => {
  ticket.state = "holding"
  ticket.wake?.()
}

/**
 * Waits until a ticket is granted. Yields afterwards: a waiter that ran inside the step that woke it would pile up the stack of a long queue.
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
  readonly slots: Slots
  /** Requests that hold it, running or waiting for a slot. */
  refs = 0
  /** Requests being generated for. */
  active = 0
  /** Its keep-alive in milliseconds: the last one a request gave. */
  session: number
  /** Milliseconds since 1970; stale while requests run. */
  expiresAt: number
  /** To be unloaded when idle, whatever its keep-alive says now. */
  doomed = false
  /** An unload has been asked for and waits its turn. */
  expiring = false
  /** Crashed or unloaded: its requests fail. */
  dead = false
  /** When its timer looks at it next. */
  timerAt = Infinity

  constructor(
    model: SimulatedModel,
    options: RunnerOptions,
    parallelism: number,
    allocation: Allocation,
    session: number,
  ) {
    this.model = model
    this.options = options
    this.parallelism = parallelism
    this.allocation = allocation
    this.slots = new Slots(parallelism)
    this.session = session
    this.expiresAt = 0
  }
}
