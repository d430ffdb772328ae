import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Option } from "effect"
import * as NoGpuProbe from "../../../src/layers/gpu/NoGpuProbe.ts"
import { DeviceLost, GpuProbe } from "../../../src/services/GpuProbe.ts"
import { contract } from "../../../src/testing/contracts/GpuProbe.ts"
import * as MockGpuProbe from "../../../src/testing/mocks/MockGpuProbe.ts"
import { holds } from "../../support/checks.ts"

const gib = ByteSize.gibibytes
const card = MockGpuProbe.device("GPU-1", gib(24))
const lost = new DeviceLost({ description: "gone" })

holds(
  "MockGpuProbe is a GpuProbe",
  contract({
    working: MockGpuProbe.layer([card]),
    kind: "gpu",
    failing: [MockGpuProbe.layer(lost), "DeviceLost"],
  }),
)

describe("MockGpuProbe", () => {
  it.effect("does what its handle says", () =>
    Effect.gen(function* () {
      const { read } = yield* GpuProbe
      const handle = yield* MockGpuProbe.MockReadings
      assert.lengthOf((yield* read).devices, 0)
      yield* handle.script([[card], lost, [MockGpuProbe.device("GPU-2", gib(8), { freeBytes: gib(1) })]])
      assert.deepStrictEqual((yield* read).devices, [card])
      assert.strictEqual((yield* Effect.flip(read)).reason, lost)
      for (let i = 0; i < 3; i++) {
        const [device] = (yield* read).devices
        assert.deepInclude(device, { uuid: "GPU-2", free: Option.some(gib(1)), used: Option.some(gib(7)) })
      }
      yield* handle.set("hangs")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(read, 0)))
      assert.strictEqual(yield* handle.reads, 7)
    }).pipe(Effect.provide(MockGpuProbe.layer())))
})

it.effect("NoGpuProbe knows no device", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* (yield* GpuProbe).read, { source: "none", passedOver: [], devices: [] })
  }).pipe(Effect.provide(NoGpuProbe.layer)))
