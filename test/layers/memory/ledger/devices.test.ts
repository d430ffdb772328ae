/** Backends that come and go, and what they state of their devices' memory. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, SubscriptionRef } from "effect"
import { Devices } from "../../../../src/layers/memory/ledger/devices.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { type Backend, backend, Fleet, type Member } from "../../../../src/services/Fleet.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"

const gib = 1024 ** 3
const stating = (id: string, memory: number, ...devices: ReadonlyArray<string>) =>
  backend({ url: `http://${id}`, id, devices, labels: { memory: `${memory} GiB` } })

describe("the devices of backends that come and go", () => {
  it("without named devices leave nothing behind", () => {
    const devices = new Devices(0, {})
    for (let i = 0; i < 100; i++) {
      const now = stating(`b${i}`, 100 - i % 7)
      assert.strictEqual(devices.sum(now, "limit"), (100 - i % 7) * gib)
      devices.prune([now])
      assert.deepStrictEqual([...devices.accounts.keys()], [`memory of b${i}`])
    }
  })

  it("have the memory that those state which are there", () => {
    const devices = new Devices(0, {})
    const account = devices.account("g0")
    for (let i = 0; i < 100; i++) {
      const now = [stating(`b${i}`, 10 + i, "g0"), stating(`c${i}`, 200 + i, "g0")]
      devices.prune(now)
      assert.strictEqual(account.declared, (10 + i) * gib)
      assert.strictEqual(account.stated.size, 2)
    }
    devices.prune([])
    assert.isUndefined(account.declared)
  })

  it("have the memory of the options, whoever leaves", () => {
    const devices = new Devices(0, { g0: 5 * gib })
    const [one, other] = [stating("one", 3, "g0"), stating("other", 4, "g0")]
    for (const now of [[one, other], [other], []]) {
      devices.prune(now)
      assert.strictEqual(devices.account("g0").declared, 5 * gib)
    }
  })

  it("are known again when the same backend comes back", () => {
    const devices = new Devices(0, {})
    for (const back of [stating("label", 8), stating("card", 8, "g0")]) {
      devices.prune([back])
      devices.prune([])
      assert.strictEqual(devices.accounts.size, 0)
      const [account] = devices.of(back)
      assert.strictEqual(account?.declared, 8 * gib)
      assert.strictEqual(devices.accounts.get(account!.uuid), account)
      devices.prune([])
    }
  })

  it.effect("of the ledger have all their memory again when the one that stated less has left", () =>
    Effect.gen(function* () {
      const ref = yield* SubscriptionRef.make<ReadonlyArray<Member>>([])
      const fleet = Fleet.of({
        members: () => SubscriptionRef.getUnsafe(ref),
        changes: SubscriptionRef.changes(ref),
        setState: () => Effect.void,
      })
      const put = (...backends: ReadonlyArray<Backend>) =>
        SubscriptionRef.set(ref, backends.map((backend): Member => ({ backend, state: "active" })))
      const [less, more] = [stating("less", 10, "g0"), stating("more", 20, "g0")]
      yield* put(less, more)
      yield* Effect.gen(function* () {
        const ledger = yield* VramLedger
        assert.strictEqual(ledger.limit(more), 8 * gib)
        yield* put(more)
        yield* elapse("6 seconds")
        assert.strictEqual(ledger.limit(more), 18 * gib)
        yield* put(less, more)
        yield* elapse("6 seconds")
        assert.strictEqual(ledger.limit(more), 8 * gib)
      }).pipe(
        Effect.provide(
          MemoryVramLedger.layer().pipe(Layer.provide([
            Layer.succeed(Fleet, fleet),
            Footprints.table({}),
            MockGpuProbe.layer([
              MockGpuProbe.device("g0", ByteSize.gibibytes(24), { freeBytes: ByteSize.gibibytes(24) }),
            ]),
          ])),
        ),
      )
    }))
})
