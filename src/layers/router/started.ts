/**
 * One request that a server has started: without a fiber as far as nothing suspends, which is the case for most.
 *
 * @since 0.1.0
 */
import { Effect, Exit, type Fiber } from "effect"
import type { Admitted } from "../../services/Admission.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Attempt } from "../../services/Relay.ts"
import type { Routing, Settled } from "../../services/Router.ts"
import type { Upstream } from "../../services/Transport.ts"
import type { Run } from "./requestState.ts"
import type { Stages } from "./stages.ts"

/** What it needs of the router. @internal */
export interface Steps extends Pick<Stages, "attempts" | "now"> {
  /** Runs in a fiber what cannot go on without one. At its end the request is settled. */
  readonly fork: (run: Run, rest: Effect.Effect<Settled, Refusal>) => Fiber.Fiber<Settled>
  /** Settles the request. */
  readonly settle: (run: Run, exit: Exit.Exit<Settled>) => void
}

/** How a request ends whose client has left. */
const interrupted = Exit.interrupt()

/** @internal */
export class Started implements Routing {
  private readonly run: Run
  private readonly steps: Steps
  private readonly ended: (exit: Exit.Exit<Settled>) => void
  /** The first attempt, while it goes on. */
  private admitted: Admitted | undefined = undefined
  private upstream: Upstream | undefined = undefined
  private fiber: Fiber.Fiber<Settled> | undefined = undefined
  /** Whether the client has left. */
  private left = false

  constructor(run: Run, steps: Steps, ended: (exit: Exit.Exit<Settled>) => void) {
    this.run = run
    this.steps = steps
    this.ended = ended
  }

  begin(): this {
    let first: Admitted | Effect.Effect<Settled, Refusal>
    try {
      first = this.steps.now(this.run)
    } catch (error) {
      first = Effect.die(error)
    }
    if (Effect.isEffect(first)) this.follow(first)
    else this.send(first)
    return this
  }

  interrupt(): void {
    this.left = true
    this.fiber?.interruptUnsafe()
    this.upstream?.abort()
  }

  private send(admitted: Admitted): void {
    this.admitted = admitted
    try {
      const upstream = this.steps.attempts.send(this.run, admitted.lease, (attempt) => this.attempted(attempt))
      // It can have ended in the call.
      if (this.admitted === undefined) return
      this.upstream = upstream
    } catch (error) {
      this.admitted = undefined
      admitted.end()
      return this.follow(Effect.die(error))
    }
    if (this.left) this.upstream.abort()
  }

  private attempted(attempt: Attempt): void {
    const { admitted, run, steps: { attempts } } = this
    if (admitted === undefined) return
    this.admitted = this.upstream = undefined
    let rest: Effect.Effect<Settled, Refusal>
    try {
      admitted.end()
      if (this.left) return this.end(interrupted)
      run.outcome = attempt.outcome
      if (attempt._tag === "Answered") return this.end(Exit.succeed(attempts.answered(run, run.demand!, attempt)))
      rest = attempts.failed(run, run.demand!, run.reply, attempt)
    } catch (error) {
      rest = Effect.die(error)
    }
    this.follow(rest)
  }

  private follow(rest: Effect.Effect<Settled, Refusal>): void {
    const fiber = this.steps.fork(this.run, rest)
    if (fiber.pollUnsafe() === undefined) {
      this.fiber = fiber
      if (this.left) fiber.interruptUnsafe()
    }
    fiber.addObserver((exit) => {
      this.fiber = undefined
      this.ended(exit)
    })
  }

  private end(exit: Exit.Exit<Settled>): void {
    let last = exit
    try {
      this.steps.settle(this.run, exit)
    } catch (error) {
      last = Exit.die(error)
    }
    this.ended(last)
  }
}
