/**
 * One circuit breaker as a synchronous state machine. It has no timers: its owner moves it from open to half-open.
 *
 * Written here because Effect's `CircuitBreaker` decides asynchronously, and a permit is the last part of a synchronous
 * commit.
 *
 * @since 0.1.0
 */
import type { BreakerKey, BreakerState, BreakerTransition } from "../../services/Breaker.ts"
import type { Trip } from "./trip.ts"
import type { Verdict } from "./verdicts.ts"

/** When a circuit opens, and for how long. @category models @since 0.1.0 */
export interface Policy {
  /** A new counter for one circuit. */
  readonly trip: () => Trip
  /** Milliseconds that the circuit stays open, by the number of openings before this one. */
  readonly openMillis: (openings: number) => number
}

/** How often a key is compared with the shared store after its last use: for one minute at the default interval. */
const comparisonsMax = 12

/** `retryMillis` of an isolated circuit: an operator ends the isolation, so there is no time to give. */
const isolatedMillis = 60_000

/** `retryMillis` while a trial is under way: its duration is not known. */
const trialMillis = 1000

/**
 * The circuit of one key.
 *
 * **Details**
 *
 * `generation` rises with every transition. An outcome of an attempt that began in an earlier generation is ignored.
 * Each opening is longer than the one before, until the circuit has stayed closed for as long as it was last open.
 *
 * @category models
 * @since 0.1.0
 */
export class Circuit {
  readonly key: BreakerKey
  private readonly policy: Policy
  private readonly trip: Trip
  state: BreakerState = "closed"
  generation = 0
  trialTaken = false
  /** How often it has opened since the count started again. */
  openings = 0
  openUntil = 0
  /** The length of the last opening. */
  openedMillis = 0
  /** When the count of openings starts again, if the circuit is still closed then. */
  private recoveredAt = 0
  /** Comparisons with the shared store that are left before the key counts as unused. */
  comparisons = 0
  /** Whether a background fiber follows this opening. */
  followed = false

  constructor(key: BreakerKey, policy: Policy) {
    this.key = key
    this.policy = policy
    this.trip = policy.trip()
  }

  get allows(): boolean {
    return this.state === "closed" || (this.state === "half-open" && !this.trialTaken)
  }

  /** Takes a permit and returns whether it is the trial. Must only be called when `allows` is true. */
  take(): boolean {
    this.comparisons = comparisonsMax
    if (this.state !== "half-open") return false
    this.trialTaken = true
    return true
  }

  /** Takes in the outcome of a permit that was taken in `generation`. */
  settle(generation: number, trial: boolean, verdict: Verdict, now: number): BreakerTransition | undefined {
    if (generation !== this.generation) return undefined
    if (trial) {
      if (verdict === "success") return this.close(now)
      if (verdict === "failure") return this.open(now)
      this.trialTaken = false
      return undefined
    }
    if (verdict === "ignored") return undefined
    return this.trip.count(verdict === "failure") ? this.open(now) : undefined
  }

  open(now: number): BreakerTransition {
    if (this.state === "closed" && now >= this.recoveredAt) this.openings = 0
    return this.openFor(this.policy.openMillis(this.openings), this.openings + 1, now)
  }

  openFor(millis: number, openings: number, now: number): BreakerTransition {
    this.openings = openings
    this.openedMillis = millis
    this.openUntil = now + millis
    return this.move("open", now)
  }

  halfOpen(now: number): BreakerTransition {
    return this.move("half-open", now)
  }

  close(now: number): BreakerTransition {
    this.recoveredAt = now + this.openedMillis
    return this.move("closed", now)
  }

  isolate(now: number): BreakerTransition | undefined {
    return this.state === "isolated" ? undefined : this.move("isolated", now)
  }

  restore(now: number): BreakerTransition | undefined {
    return this.state === "isolated" ? this.move("closed", now) : undefined
  }

  /** Milliseconds until the circuit may allow an attempt; 0 when it allows one now. */
  retryMillis(now: number): number {
    if (this.allows) return 0
    if (this.state === "isolated") return isolatedMillis
    // After `openUntil` the circuit stays open until the store has answered, which takes a moment.
    return this.state === "open" ? Math.max(1, this.openUntil - now) : trialMillis
  }

  private move(to: BreakerState, at: number): BreakerTransition {
    const from = this.state
    this.state = to
    this.generation++
    this.trip.reset()
    this.trialTaken = false
    return { key: this.key, from, to, at }
  }
}
