/** Wrong admissions are caught by the exported contracts. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as BoundedAdmission from "../../src/layers/BoundedAdmission.ts"
import * as QueuelessAdmission from "../../src/layers/QueuelessAdmission.ts"
import { Admission } from "../../src/services/Admission.ts"
import { isLease, type Leases } from "../../src/services/Leases.ts"
import { success } from "../../src/services/Outcome.ts"
import { isRefusal, refuse } from "../../src/services/Refusal.ts"
import { AdmissionContract, AdmissionQueuesContract } from "../../src/testing/index.ts"
import { caught, passes } from "./caught.ts"

const bounded = BoundedAdmission.layer({ queueCapacity: 4, queueMillis: 5000 })

/** One that sheds what cannot start at once, with a mistake in how it holds the lease. */
const plain = (admit: Admission["Service"]["admit"]) =>
  AdmissionContract.contract(Layer.succeed(Admission, { admit, queues: () => [] }))

/** A right queue with something of it replaced. */
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
    plain((_, commit, use) =>
      Effect.suspend(() => {
        const made = commit()
        return isLease(made) ? use(made) : Effect.fail(isRefusal(made) ? made : refuse("QueueFull", "full"))
      })
    ),
    /gives the lease back as ignored/,
  )
  caught(
    "that calls an interrupted use a success",
    plain((_, commit, use) =>
      Effect.suspend(() => {
        const made = commit()
        if (!isLease(made)) return Effect.fail(isRefusal(made) ? made : refuse("QueueFull", "full"))
        return Effect.ensuring(use(made), Effect.sync(() => made.release(success)))
      })
    ),
    /gives the lease back as ignored/,
  )
  caught(
    "that says full whatever the refusal",
    plain((_, commit, use) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const made = commit()
          return isLease(made) ? Effect.succeed(made) : Effect.fail(refuse("QueueFull", "full"))
        }),
        use,
        (lease) => Effect.sync(() => lease.release({ kind: "ignored", cause: "unused" })),
      )
    ),
    /passes a refusal on/,
  )
  caught(
    "that commits twice for one request",
    AdmissionContract.contract(
      Layer.effect(
        Admission,
        Effect.map(Admission, (right) => ({
          ...right,
          admit: (demand, commit, use) =>
            right.admit(demand, () => {
              commit()
              return commit()
            }, use),
        })),
      ).pipe(Layer.provide(QueuelessAdmission.layer)),
    ),
    /lets through at once|leaks nothing/,
  )
})

describe("a wrong queue", () => {
  caught(
    "that forgets its deadlines",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, queueMillis: 1e9 })),
    /a deadline that has passed/,
  )
  caught(
    "that forgets its bound",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, queueCapacity: 1000 })),
    /bounds hold/,
  )
  caught(
    "that knows no weights",
    queue(() => ({}), (bounds) => BoundedAdmission.layer({ ...bounds, tenantWeights: {} })),
    /tenants take turns by weight/,
  )
  caught(
    "that takes everybody for one tenant",
    queue((right) => ({
      admit: (demand, commit, use) => right.admit({ ...demand, tenant: "all" }, commit, use),
    })),
    /tenants take turns/,
  )
})
