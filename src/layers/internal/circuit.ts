/**
 * One circuit breaker as a synchronous state machine. It has no timers: whoever owns it moves it from open to half-open.
 *
 * @since 0.1.0
 */
import type { BreakerKey, BreakerState, BreakerTransition } from "../../services/Breaker.ts"
import type { Verdict } from "./causes.ts"

/** When a circuit opens and for how long. @category models @since 0.1.0 */
export interface Policy {
  /** Failures one after the other that open it. */
  readonly failuresMax: number
  readonly openMillis: number
  readonly openMillisMax: number
}

/** A minute after its last use, at the default pace, a key is no longer compared. */
const comparisonsMax = 12

/**
 * The state of one key.
 *
 * **Details**
 *
 * `generation` rises with every transition and fences outcomes: what began before the last transition says nothing about the time after it.
 * The length of an opening doubles with each one, until the circuit has stayed closed for as long as it was last open.
 *
 * @category models
 * @since 0.1.0
 */
export class Circuit {
  readonly key: BreakerKey
  readonly policy: Policy
  state: BreakerState = "closed"
  generation = 0
  failures = 0
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
    if (verdict === "success") this.failures = 0
    if (verdict !== "failure") return undefined
    this.failures++
    return this.failures >= this.policy.failuresMax ? this.open(now) : undefined
  }

  open(now: number): BreakerTransition {
    if (this.state === "closed" && now >= this.wellAt) this.openings = 0
    const { openMillis, openMillisMax } = this.policy
    return this.openFor(Math.min(openMillis * 2 ** this.openings, openMillisMax), this.openings + 1, now)
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

  private move(to: BreakerState, at: number): BreakerTransition {
    const from = this.state
    this.state = to
    this.generation++
    this.failures = 0
    this.trialTaken = false
    return { key: this.key, from, to, at }
  }
}
