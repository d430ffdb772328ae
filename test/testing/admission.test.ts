/** Wrong admissions are caught by the exported contracts. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as QueuelessAdmission from "../../src/layers/admission/QueuelessAdmission.ts"
import { Admission } from "../../src/services/Admission.ts"
import { type Commit, isLease, type Lease, type Leases } from "../../src/services/Leases.ts"
import { success, unused } from "../../src/services/Outcome.ts"
import { type Refusal, refuse } from "../../src/services/Refusal.ts"
import { AdmissionContract, AdmissionQueuesContract } from "../../src/testing/index.ts"
import { caught, passes } from "./caught.ts"

const bounded = BoundedAdmission.layer({ queueCapacity: 4, queueMillis: 5000 })

/** The answer of a commit as an Effect: a request that cannot start at once is shed. */
const granted = (made: Commit): Effect.Effect<Lease, Refusal> =>
  isLease(made) ? Effect.succeed(made) : Effect.fail(typeof made === "object" ? made : refuse("QueueFull", "full"))

const plain = (admit: Admission["Service"]["admit"]) =>
  AdmissionContract.contract(Layer.succeed(Admission, { admit, queues: () => [] }))

/** A right queue with some functions replaced. */
const queue = (
  spoil: (right: Admission["Service"]) => Partial<Admission["Service"]>,
  base: (bounds: AdmissionQueuesContract.Bounds) => Layer.Layer<Admission, unknown, Leases> = BoundedAdmission.layer,
) =>
  AdmissionQueuesContract.contract((bounds) =>
    Layer.effect(Admission, Effect.map(Admission, (right) => ({ ...right, ...spoil(right) }))).pipe(
      Layer.provide(base(bounds)),
    )
  )

passes("QueuelessAdmission", AdmissionContract.contract(QueuelessAdmission.layer))
passes("BoundedAdmission", AdmissionContract.contract(bounded))

describe("a wrong admission", () => {
  caught(
    "that leaks the lease when the use dies or its client leaves",
    plain((_, commit, use) => Effect.flatMap(Effect.suspend(() => granted(commit(1))), use)),
    "gives the lease back as ignored when the use fails, dies or is interrupted",
    /ignored/,
  )
  caught(
    "that calls an interrupted use a success",
    plain((_, commit, use) =>
      Effect.flatMap(
        Effect.suspend(() => granted(commit(1))),
        (lease) => Effect.ensuring(use(lease), Effect.sync(() => lease.release(success))),
      )
    ),
    "gives the lease back as ignored when the use fails, dies or is interrupted",
    /ignored/,
  )
  caught(
    "that says full whatever the refusal",
    plain((_, commit, use) =>
      Effect.acquireUseRelease(
        Effect.mapError(Effect.suspend(() => granted(commit(1))), () => refuse("QueueFull", "full")),
        use,
        (lease) => Effect.sync(() => lease.release(unused)),
      )
    ),
    "passes a refusal on",
    /NoBackend/,
  )
  caught(
    "that commits twice for one request",
    AdmissionContract.contract(
      Layer.effect(
        Admission,
        Effect.map(Admission, (right) => ({
          ...right,
          admit: (demand, commit, use) =>
            right.admit(demand, (waiting) => {
              commit(waiting)
              return commit(waiting)
            }, use),
        })),
      ).pipe(Layer.provide(QueuelessAdmission.layer)),
    ),
    "lets through at once what has a lease, and gives it back once",
    /busy/,
  )
})

describe("a wrong queue", () => {
  caught(
    "that forgets its deadlines",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, queueMillis: 1e9 })),
    "a deadline that has passed is a 504, and nothing else is",
    /is not below/,
  )
  caught(
    "that forgets its bound",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, queueCapacity: 1000 })),
    "bounds hold, and a request that is shed had no claim to a place",
    /is above 6/,
  )
  caught(
    "that knows no weights",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, tenantWeights: {} })),
    "tenants take turns by weight",
    /is ahead of/,
  )
  caught(
    "that takes all requests for one tenant's",
    queue((right) => ({
      admit: (demand, commit, use) => right.admit({ ...demand, tenant: "all" }, commit, use),
    })),
    "tenants take turns",
    /is ahead of/,
  )
})
