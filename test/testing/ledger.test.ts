/** Wrong ledgers are caught by the exported contract. */
import { describe } from "@effect/vitest"
import { ByteSize, Effect, Layer } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as UnmanagedVramLedger from "../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import { type Allocation, VramLedger } from "../../src/services/VramLedger.ts"
import * as Footprints from "../../src/testing/footprints.ts"
import { VramLedgerContract } from "../../src/testing/index.ts"
import * as MockGpuProbe from "../../src/testing/mocks/MockGpuProbe.ts"
import { caught, passes } from "./caught.ts"

type Service = VramLedger["Service"]

const gib = 1024 ** 3
const card = (uuid: string) => MockGpuProbe.device(uuid, ByteSize.gibibytes(24), { freeBytes: ByteSize.gibibytes(24) })
const managed = MemoryVramLedger.layer().pipe(Layer.provide(Layer.mergeAll(
  MockGpuProbe.layer([card("ga"), card("gb")]),
  Footprints.table({ "m:latest": 8 * gib, "n:latest": 8 * gib }),
  Layer.orDie(
    StaticFleet.layer([{ url: "http://a", id: "a", devices: ["ga"] }, { url: "http://b", id: "b", devices: ["gb"] }]),
  ),
)))
/** A right ledger with some methods replaced. */
const wrong = (spoil: (right: Service) => Partial<Service>) =>
  VramLedgerContract.contract(
    Layer.effect(VramLedger, Effect.map(VramLedger, (service) => ({ ...service, ...spoil(service) }))).pipe(
      Layer.provide(managed),
    ),
  )
/** A `reserve` that adopts a model at its full size where there is no room. */
const whatever = (right: Service): Service["reserve"] => (backend, model, numCtx) => {
  const made = right.reserve(backend, model, numCtx)
  if (!("_tag" in made)) return made
  const size = 8 * gib
  const adopted = right.adopt(backend, model.key, { size, sizeVram: size, contextLength: undefined, automatic: true })
  // Its first state is `reserved`, as after a reservation.
  let first = true
  return Object.assign(adopted, { state: () => (first ? "reserved" : "resident"), move: () => void (first = false) })
}

passes("MemoryVramLedger", VramLedgerContract.contract(managed))
passes("UnmanagedVramLedger", VramLedgerContract.contract(UnmanagedVramLedger.layer))

describe("a wrong ledger", () => {
  caught(
    "that never refuses",
    wrong((right) => ({ reserve: whatever(right) })),
    "loads on one backend one after the other, and gives back what is gone, once",
    /a second load at the same time is refused/,
  )
  caught(
    "that reserves more than the capacity",
    // It keeps loads serial, and ignores the capacity.
    wrong((right) => ({
      reserve: (backend, model, numCtx) => {
        const made = right.reserve(backend, model, numCtx)
        const loads = right.allocations().some((one) =>
          one.backend === backend.id && ["reserved", "loading"].includes(one.state())
        )
        return "_tag" in made && !loads ? whatever(right)(backend, model, numCtx) : made
      },
    })),
    "the books add up, capacity is kept to and loads are serial, whatever the history",
    /bytes promised on g[ab] of/,
  )
  caught(
    "that keeps what is gone in its books",
    wrong((right) => {
      const given: Array<Allocation> = []
      return {
        allocations: () => given,
        reserve: (...what) => {
          const made = right.reserve(...what)
          if (!("_tag" in made)) given.push(made)
          return made
        },
      }
    }),
    "loads on one backend one after the other, and gives back what is gone, once",
    /3 of them, not 2/,
  )
  caught(
    "that forgets what is loading",
    wrong((right) => ({ allocations: () => right.allocations().filter((one) => one.state() !== "loading") })),
    "the books add up, capacity is kept to and loads are serial, whatever the history",
    /is loading, and not in the books/,
  )
  caught(
    "that never gives memory back",
    wrong((right) => ({
      reserve: (...what) => {
        const made = right.reserve(...what)
        if ("_tag" in made) return made
        const { move } = made
        return Object.assign(made, {
          move: (to: Parameters<typeof move>[0]) => to === "gone" || to === "releasing" ? undefined : move(to),
        })
      },
    })),
    "loads on one backend one after the other, and gives back what is gone, once",
    /'loading' !== 'gone'/,
  )
  caught(
    "that tells no listener when memory came back",
    wrong(() => ({ onChange: () => () => {} })),
    "the books add up, capacity is kept to and loads are serial, whatever the history",
    /no listener was told/,
  )
  caught(
    "that refuses without a reason",
    wrong((right) => ({
      reserve: (...what) => {
        const made = right.reserve(...what)
        return "_tag" in made ? { ...made, reason: "" } : made
      },
    })),
    "loads on one backend one after the other, and gives back what is gone, once",
    /is refused, with a reason/,
  )
  caught(
    "that loads one model at a time over all backends",
    wrong((right) => ({
      reserve: (...what) =>
        right.allocations().some((one) => one.state() === "loading")
          ? { _tag: "NoRoom", reason: "something is loading", freeing: [], never: false }
          : right.reserve(...what),
    })),
    "loads on one backend one after the other, and gives back what is gone, once",
    /the other backend has nothing to do with it/,
  )
})
