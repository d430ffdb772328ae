/**
 * What is known about the health of one backend, and how probes and outcomes change it.
 *
 * @since 0.1.0
 */
import { type Clock, Result } from "effect"
import type { BackendStatus, HealthChange, HealthState } from "../../services/BackendHealth.ts"
import { isConnectFailure, type Outcome } from "../../services/Outcome.ts"

/** The status before the first probe. @category constants @since 0.1.0 */
export const notProbed: BackendStatus = { state: "unknown", reason: "not probed yet", since: 0, version: undefined }

/** @category models @since 0.1.0 */
export interface Options {
  /** Failed probes in a row that make a backend unhealthy. */
  readonly failuresMax: number
  readonly clock: Clock.Clock
  /** Called after each change of the state. */
  readonly changed: (change: HealthChange) => void
}

/** @category models @since 0.1.0 */
export class WatchedBackend {
  readonly id: string
  status: BackendStatus = notProbed
  /**
   * Rises with every refused connection: a probe that began before the last one says nothing about the time after it.
   */
  refusals = 0
  private failedProbes = 0
  /** Attempts in a row that could not connect. */
  private connectFailures = 0
  private readonly options: Options

  constructor(id: string, options: Options) {
    this.id = id
    this.options = options
  }

  /** Takes in a probe: the version of the server, or why it failed. */
  probed(result: Result.Result<string, string>): void {
    if (Result.isSuccess(result)) {
      this.failedProbes = 0
      this.connectFailures = 0
      return this.enter("healthy", "", result.success)
    }
    this.failedProbes++
    if (this.failedProbes >= this.options.failuresMax) this.enter("unhealthy", result.failure)
  }

  /** Takes in a probe that failed while bytes of an answer came: the backend is busy, and not dead. */
  busy(): void {
    this.failedProbes = 0
  }

  /** Takes in the outcome of an attempt, and returns whether the backend has to be probed now. */
  attempted(outcome: Outcome): boolean {
    if (outcome.kind !== "success" && outcome.kind !== "failure") return false
    if (!isConnectFailure(outcome)) {
      this.connectFailures = 0
      // An answer counts like a good probe only while nothing else is known. After a refusal the next probe has to
      // decide.
      if (outcome.kind === "success" && this.status.state === "unknown") this.enter("healthy", "")
      return false
    }
    this.connectFailures++
    if (outcome.cause !== "refused") return this.connectFailures >= 2 && this.status.state !== "unhealthy"
    this.refusals++
    // Only the first refusal causes a probe: a probe under way starts again when it finds that there were more of them.
    const first = this.status.state !== "unhealthy"
    this.enter("unhealthy", "connection refused")
    return first
  }

  private enter(state: HealthState, reason: string, version = this.status.version): void {
    const before = this.status
    if (before.state === state && before.reason === reason && before.version === version) return
    const since = before.state === state ? before.since : this.options.clock.currentTimeMillisUnsafe()
    this.status = { state, reason, since, version }
    if (before.state !== state) {
      this.options.changed({ backend: this.id, from: before.state, status: this.status })
    }
  }
}
