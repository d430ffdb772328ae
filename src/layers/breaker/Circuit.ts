/**
 * One circuit breaker as a synchronous state machine. It has no timers: whoever owns it moves it from open to half-open.
 *
 * @since 0.1.0
 */
import type { BreakerKey, BreakerState, BreakerTransition } from "../../services/Breaker.ts"
import type { Trip } from "./trip.ts"
import type { Verdict } from "./verdicts.ts"

/** When a circuit opens and for how long. @category models @since 0.1.0 */
export interface Policy {
  /** A counter for one circuit. */
  readonly trip: () => Trip
  /** How long it stays open the n-th time in a row, from 0. */
  readonly openMillis: (openings: number) => number
}

/** A minute after its last use, at the default pace, a key is no longer compared. */
const comparisonsMax = 12

/**
 * The state of one key.
 *
 * **Details**
 *
 * `generation` rises with every transition and fences outcomes: what began before the last transition says nothing about the time after it.
 * The length of an opening grows with each one, until the circuit has stayed closed for as long as it was last open.
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
  /** How often it opened since it was last well. */
  openings = 0
  openUntil = 0
  openedMillis = 0
  /** When the count of openings starts again, if it is still closed then. */
  private wellAt = 0
  /** Comparisons with the shared store that are left before the key counts as idle, and is not compared any more. */
  comparisons = 0
  /** A background fiber follows this opening. */
  followed = false

  constructor(key: BreakerKey, policy: Policy) {
    this.key = key
    this.policy = policy
    this.trip = policy.trip()
  }

  get allows(): boolean {
    return this.state === "closed" || (this.state === "half-open" && !this.trialTaken)
  }

  /** To be called only when `allows`. Whether the permit is the trial. */
  take(): boolean {
    this.comparisons = comparisonsMax
    if (this.state !== "half-open") return false
    this.trialTaken = true
    return true
  }

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
    if (this.state === "closed" && now >= this.wellAt) this.openings = 0
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
    this.wellAt = now + this.openedMillis
    return this.move("closed", now)
  }

  isolate(now: number): BreakerTransition | undefined {
    return this.state === "isolated" ? undefined : this.move("isolated", now)
  }

  restore(now: number): BreakerTransition | undefined {
    return this.state === "isolated" ? this.move("closed", now) : undefined
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
