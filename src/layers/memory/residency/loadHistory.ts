/**
 * What the router remembers of earlier loads on one backend: failures and durations.
 *
 * @since 0.1.0
 */
import { LoadError } from "../../../services/Residency.ts"
import { movingAverage } from "../../../support/movingAverage.ts"
import type { SameWeights } from "./loadQueue.ts"

interface Failure {
  readonly error: LoadError
  readonly count: number
  readonly until: number
}

/** The first cool-down after a failed load; each further failure doubles it. */
const coolDownMillis = 1000
/** The longest cool-down. */
const coolDownMillisMax = 30_000
/** Weight of the newest load in the moving average of the durations. */
const smoothing = 0.3

/** Failures and durations of the loads on one backend. @category models @since 0.1.0 */
export class LoadHistory {
  private readonly backend: string
  private readonly same: SameWeights
  private readonly failures = new Map<string, Failure>()
  private readonly millis = new Map<string, number>()

  constructor(backend: string, same: SameWeights) {
    this.backend = backend
    this.same = same
  }

  /** An error of a load on this backend. */
  error(key: string, description: string, at: number, status?: number): LoadError {
    return new LoadError({ backend: this.backend, model: key, description, status, at })
  }

  /** A load has succeeded after so many milliseconds: ends the cool-down, and learns the duration. */
  succeeded(key: string, millis: number): void {
    for (const name of this.failures.keys()) if (this.same(name, key)) this.failures.delete(name)
    this.millis.set(key, movingAverage(this.millis.get(key), millis, smoothing))
  }

  /** A load has failed. Returns the milliseconds until the model may be tried again on this backend. */
  failed(error: LoadError): number {
    const count = (this.newestFailure(error.model)?.count ?? 0) + 1
    const coolDown = Math.min(coolDownMillis * 2 ** (count - 1), coolDownMillisMax)
    this.failures.set(error.model, { error, count, until: error.at + coolDown })
    return coolDown
  }

  /** The failure of the last load while its cool-down lasts. */
  failure(key: string, now: number): LoadError | undefined {
    const failure = this.newestFailure(key)
    return failure === undefined || now >= failure.until ? undefined : failure.error
  }

  /** The newest failure of the weights under any name: another name may not be tried any sooner. */
  private newestFailure(key: string): Failure | undefined {
    let newest: Failure | undefined
    for (const [name, failure] of this.failures) {
      if ((newest === undefined || failure.until > newest.until) && this.same(name, key)) newest = failure
    }
    return newest
  }

  /** Moving average of the durations of earlier loads, in milliseconds; `undefined` before the first one. */
  learntMillis(key: string): number | undefined {
    return this.millis.get(key)
  }
}
