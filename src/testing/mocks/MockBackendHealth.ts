/**
 * Health decided by a test.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer } from "effect"
import { BackendHealth, type BackendStatus, type HealthChange, type HealthState } from "../../services/BackendHealth.ts"
import type { Outcome } from "../../services/Outcome.ts"
import * as Listeners from "../../support/listeners.ts"

const key = "llamero/testing/mocks/MockBackendHealth/MockHealth"
const Base: Context.ServiceClass<MockHealth, typeof key, Service> = Context.Service<MockHealth, Service>()(key)

/**
 * Test handle.
 *
 * @category services
 * @since 0.1.0
 */
export class MockHealth extends Base {}

/** The members of `MockHealth`. @category services @since 0.1.0 */
export interface Service {
  /** Puts a backend in a state. Tells the listeners where that is a change. Synchronous. */
  readonly set: (backend: string, state: HealthState, reason?: string) => void
  /** The outcomes recorded so far, in order. */
  readonly outcomes: () => ReadonlyArray<{ readonly backend: string; readonly outcome: Outcome }>
}

const make = (initial: Readonly<Record<string, HealthState>>) =>
  Effect.map(Clock.Clock, (clock) => {
    const at = (state: HealthState, reason: string): BackendStatus => ({
      state,
      reason,
      since: clock.currentTimeMillisUnsafe(),
      version: undefined,
    })
    const unheard = at("unknown", "not probed yet")
    const statuses = new Map(Object.entries(initial).map(([id, state]) => [id, at(state, "")]))
    const outcomes: Array<{ readonly backend: string; readonly outcome: Outcome }> = []
    const listeners = Listeners.make<HealthChange>()
    const status = (backend: string): BackendStatus => statuses.get(backend) ?? unheard
    const health = BackendHealth.of({
      status,
      record: (backend, outcome) => void outcomes.push({ backend, outcome }),
      check: Effect.void,
      onChange: listeners.add,
    })
    const handle = MockHealth.of({
      set: (backend, state, reason = "") => {
        const from = status(backend).state
        if (from === state) return
        const next = at(state, reason)
        statuses.set(backend, next)
        listeners.notify({ backend, from, status: next })
      },
      outcomes: () => outcomes.slice(),
    })
    return Context.make(BackendHealth, health).pipe(Context.add(MockHealth, handle))
  })

/**
 * Health that only the handle changes. Backends that are not in `initial` are `unknown`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  initial: Readonly<Record<string, HealthState>> = {},
): Layer.Layer<BackendHealth | MockHealth> => Layer.effectContext(make(initial))
