/**
 * Leases from a plain number of slots, for tests.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import { backend } from "../../services/Fleet.ts"
import { type Commit, type Lease, Leases } from "../../services/Leases.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

const key = "llamero/testing/mocks/MockLeases/MockSlots"
const Base: Context.ServiceClass<MockSlots, typeof key, Service> = Context.Service<MockSlots, Service>()(key)

/**
 * Test handle: what the next commit answers, and which leases were granted and released.
 *
 * @category services
 * @since 0.1.0
 */
export class MockSlots extends Base {}

/** The members of `MockSlots`. @category services @since 0.1.0 */
export interface Service {
  /** Sets the number of free slots: a commit takes one, a release gives it back. Tells the listeners of `onFree`. */
  readonly setFree: (slots: number) => void
  readonly free: () => number
  /** What every commit answers, until it is set to `undefined`. Tells the listeners of `onFree`. */
  readonly answer: (commit: Exclude<Commit, Lease> | undefined) => void
  /** Ids of the demands that got a lease, in order. */
  readonly granted: ReadonlyArray<string>
  /** Outcomes in order of release, one for each lease. */
  readonly released: ReadonlyArray<Outcome>
}

const make = (initial: number) => {
  const only = backend({ url: "http://mock:11434", id: "mock" })
  const listeners = new Set<() => void>()
  const granted: Array<string> = []
  const released: Array<Outcome> = []
  let free = initial
  let held = 0
  let instead: Exclude<Commit, Lease> | undefined
  const tell = () => listeners.forEach((listener) => listener())
  const lease = (demand: Demand): Lease => {
    let done = false
    free--
    held++
    granted.push(demand.id)
    return {
      backend: only,
      demand,
      release: (outcome) => {
        if (done) return
        done = true
        free++
        held--
        released.push(outcome)
        tell()
      },
    }
  }
  return Context.make(Leases, {
    view: { backends: [], owners: () => [], find: () => undefined },
    commit: (_, demand) => instead ?? (free > 0 ? lease(demand) : "wait"),
    count: () => held,
    onFree: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }).pipe(Context.add(MockSlots, {
    setFree: (slots) => {
      free = slots
      tell()
    },
    free: () => free,
    answer: (commit) => {
      instead = commit
      tell()
    },
    granted,
    released,
  }))
}

/**
 * This number of slots on one backend, `mock`, for any demand.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (slots: number): Layer.Layer<Leases | MockSlots> =>
  Layer.effectContext(Effect.sync(() => make(slots)))
