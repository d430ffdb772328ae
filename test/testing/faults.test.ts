/** A wrong part of a whole stack is caught by the exported fault contract, and by the invariant that it breaks. */
import { describe } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import { CircuitBreaker } from "effect/persistence"
import * as LocalBreaker from "../../src/layers/breaker/LocalBreaker.ts"
import * as MemoryLeases from "../../src/layers/leases/MemoryLeases.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { Breaker } from "../../src/services/Breaker.ts"
import { GpuProbe } from "../../src/services/GpuProbe.ts"
import { isLease, Leases } from "../../src/services/Leases.ts"
import { FaultContract } from "../../src/testing/index.ts"
import { caught, passes } from "./caught.ts"

const seed = 2
const under = (subjects: FaultContract.Subjects) => FaultContract.contract(subjects, { seeds: [seed], requests: 1500 })
const name = `keeps to every invariant under the faults of seed ${seed}`

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

passes("the shipped stack", under({}))

describe("a stack with a wrong part", () => {
  const breaker = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
  caught(
    "a breaker that lets everybody through",
    under({
      breaker: Layer.effect(
        Breaker,
        Effect.map(Breaker, (made) => ({
          ...made,
          acquire: (backend, model) => made.acquire(backend, model) ?? { trial: false, record: () => {} },
        })),
      ).pipe(Layer.provide(breaker)),
    }),
    name,
    /invariant 6/,
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
    name,
    /invariant 2/,
  )
  caught(
    "a ledger that believes in twice the memory",
    under({ ledger: MemoryVramLedger.layer().pipe(Layer.provide(doubling)) }),
    name,
    /invariant 1 /,
  )
})
