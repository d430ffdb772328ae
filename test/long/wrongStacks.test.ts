/**
 * A wrong layer in a whole stack is caught by the exported fault contract, by the check of the invariant that it
 * breaks.
 */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as LocalBreaker from "../../src/layers/breaker/LocalBreaker.ts"
import * as MemoryLeases from "../../src/layers/leases/MemoryLeases.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { Admission } from "../../src/services/Admission.ts"
import { Breaker } from "../../src/services/Breaker.ts"
import { GpuProbe } from "../../src/services/GpuProbe.ts"
import { isLease, Leases } from "../../src/services/Leases.ts"
import { VramLedger } from "../../src/services/VramLedger.ts"
import { FaultContract, violations } from "../../src/testing/index.ts"
import { caught, passes } from "../testing/caught.ts"

const under = (subjects: FaultContract.Subjects, options?: FaultContract.Options) =>
  FaultContract.contract(subjects, { seeds: [2], requests: 1500, ...options })
const checks = under({}).map(({ name }) => name)
/** The name of the check of an invariant. */
const of = (invariant: number): string => checks[invariant]!

const twice = Option.map((bytes: ByteSize.ByteSize) => ByteSize.sum(bytes, bytes))
const doubling = Layer.effect(
  GpuProbe,
  Effect.map(GpuProbe, ({ read, source }) => ({
    source,
    read: Effect.map(read, (readings) => ({
      ...readings,
      devices: readings.devices.map((device) => ({ ...device, total: twice(device.total), free: twice(device.free) })),
    })),
  })),
)
const breaker = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
const breaking = (spoil: (right: Breaker["Service"]) => Partial<Breaker["Service"]>) =>
  Layer.effect(Breaker, Effect.map(Breaker, (made) => ({ ...made, ...spoil(made) }))).pipe(Layer.provide(breaker))

passes("the shipped stack", FaultContract.contract())
passes(
  "BoundedAdmission with its default options",
  FaultContract.contract({ admission: BoundedAdmission.layer() }),
)

describe("a stack with a wrong layer", () => {
  caught(
    "a breaker that lets every request through",
    under({
      breaker: breaking((made) => ({
        acquire: (backend, model) => made.acquire(backend, model) ?? { trial: false, record: () => {} },
      })),
    }),
    of(6),
    /invariant 6 [^]* {2}\d+ x in seed 2: the breaker of \w .* is open, and gave a permit/,
  )
  caught(
    "leases that a failure does not give back",
    under({
      leases: Layer.effect(
        Leases,
        Effect.map(Leases, (made) => ({
          ...made,
          commit: (ranked, demand) => {
            const commit = made.commit(ranked, demand)
            if (!isLease(commit)) return commit
            return { ...commit, release: (outcome) => void (outcome.kind !== "failure" && commit.release(outcome)) }
          },
        })),
      ).pipe(Layer.provide(MemoryLeases.layer)),
    }),
    of(2),
    /invariant 2 /,
  )
  caught(
    "a ledger that believes in twice the memory",
    under({ ledger: MemoryVramLedger.layer().pipe(Layer.provide(doubling)) }),
    of(1),
    /invariant 1 /,
  )
  caught(
    "an admission that loses a waiter",
    under({
      admission: Layer.effect(
        Admission,
        Effect.map(Admission, (made) => ({
          ...made,
          admit: (demand, commit, use) =>
            demand.id === "r100" || demand.id === "r1100" ? Effect.never : made.admit(demand, commit, use),
        })),
      ).pipe(Layer.provide(BoundedAdmission.layer())),
    }),
    of(4),
    /2 requests never got an answer: r100 \(model \w+, tenant \w+\), r1100 \(model \w+, tenant \w+\)/,
  )
})

describe("a run that does not exercise an invariant fails for that invariant", () => {
  caught(
    "a ledger that never refuses, in a run without full devices",
    FaultContract.contract({
      ledger: Layer.effect(
        VramLedger,
        Effect.map(VramLedger, (made) => ({
          ...made,
          reserve: (backend, model, numCtx) => {
            const answer = made.reserve(backend, model, numCtx)
            if (!("_tag" in answer)) return answer
            return made.adopt(backend, model.key, { size: 0, sizeVram: 0, contextLength: numCtx, automatic: false })
          },
        })),
      ).pipe(Layer.provide(MemoryVramLedger.layer())),
    }, { seeds: [2, 4], requests: 400 }),
    of(1),
    /never exercised: there were no refusals on full devices/,
  )
  caught(
    "memory that is managed in no seed",
    under({}, { seeds: [1], requests: 300 }),
    of(1),
    /never exercised: there were no reservations on managed devices/,
  )
  caught(
    "a breaker that never opens",
    under({
      breaker: breaking((made) => ({
        acquire: (backend, model) => {
          const permit = made.acquire(backend, model)
          if (permit === undefined) return undefined
          return {
            trial: permit.trial,
            record: (outcome) =>
              permit.record(outcome.kind === "failure" ? { kind: "ignored", cause: "client-gone" } : outcome),
          }
        },
      })),
    }),
    of(6),
    /never exercised: there were no breakers that opened/,
  )

  it.live("an invariant that the caller names need not be exercised", () =>
    Effect.gen(function* () {
      const found = yield* violations(under({}, { seeds: [1], requests: 300, mayBeUnexercised: [1, 3] }))
      assert.notInclude(found.map(({ check }) => check), of(1))
      assert.notInclude(found.map(({ check }) => check), of(3))
    }), 120_000)
})
