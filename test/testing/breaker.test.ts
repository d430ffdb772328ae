/** Wrong breakers are caught by the exported contract. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as LocalBreaker from "../../src/layers/breaker/LocalBreaker.ts"
import { Breaker, type Permit } from "../../src/services/Breaker.ts"
import { BreakerContract } from "../../src/testing/index.ts"
import { caught, passes } from "./caught.ts"

type Service = Breaker["Service"]

const right = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
/** A right breaker with some methods replaced. */
const wrong = (spoil: (right: Service) => Partial<Service>) =>
  BreakerContract.contract(
    Layer.effect(Breaker, Effect.map(Breaker, (service) => ({ ...service, ...spoil(service) }))).pipe(
      Layer.provide(right),
    ),
    { runs: 100 },
  )
const freely: Permit = { trial: true, record: () => {} }
const recording = (service: Service, record: (permit: Permit) => Permit["record"]): Partial<Service> => ({
  acquire: (backend, model) => {
    const permit = service.acquire(backend, model)
    return permit && { trial: permit.trial, record: record(permit) }
  },
})

passes("LocalBreaker", BreakerContract.contract(right, { runs: 100 }))

describe("a wrong breaker", () => {
  caught(
    "whose half-open state lets every request through",
    wrong((service) => ({
      acquire: (backend, model) =>
        service.acquire(backend, model) ?? (service.state(backend, model) === "half-open" ? freely : undefined),
    })),
    "half-open lets exactly one trial through",
    /expected nothing/,
  )
  caught(
    "that gives permits while it is open",
    wrong((service) => ({ acquire: (backend, model) => service.acquire(backend, model) ?? freely })),
    "an open backend lets nothing through for any model there, and everything for other backends",
    /expected nothing/,
  )
  caught(
    "that is opened by saturation",
    wrong((service) =>
      recording(
        service,
        ({ record }) => (outcome) =>
          record(outcome.kind === "saturated" ? { kind: "failure", cause: "refused" } : outcome),
      )
    ),
    "is never opened by saturation or by clients",
    /is let through/,
  )
  caught(
    "that is blocked by a trial without a recorded outcome",
    wrong((service) =>
      recording(service, ({ record }) => (outcome) => outcome.kind === "ignored" ? undefined : record(outcome))
    ),
    "a trial that ends without an answer makes room for another, and closes nothing",
    /is let through/,
  )
  caught(
    "that counts each outcome of one permit",
    wrong((service) =>
      recording(service, ({ record }) => {
        let first = true
        return (outcome) => {
          if (first) record(outcome)
          else service.acquire("a", "m")?.record(outcome)
          first = false
        }
      })
    ),
    "hears of a permit once, and not of what began before the last transition",
    /./,
  )
  caught(
    "that never opens",
    wrong((service) => ({
      ...recording(
        service,
        ({ record }) => (outcome) =>
          record(outcome.kind === "failure" ? { kind: "ignored", cause: "client-gone" } : outcome),
      ),
    })),
    "invariant 6, whatever the history",
    /b0 after refused[^]*closed/,
  )
  caught(
    "that confuses backends",
    wrong((service) => ({ acquire: (_, model) => service.acquire("a", model) })),
    "an open backend lets nothing through for any model there, and everything for other backends",
    /./,
  )
  caught(
    "that ignores the isolation by an operator",
    wrong(() => ({ isolate: () => {} })),
    "what an operator isolates stays out, whatever happens, until it is restored",
    /./,
  )
  caught(
    "that tells no listener",
    wrong(() => ({ onTransition: () => () => {} })),
    "tells of transitions to listeners, with the state in place, and in a stream",
    /./,
  )
})
