import { assert, it } from "@effect/vitest"
import { ByteSize, Effect, Option, Ref } from "effect"
import * as MockGpuProbe from "../../src/layers/MockGpuProbe.ts"
import * as NoGpuProbe from "../../src/layers/NoGpuProbe.ts"
import { GpuProbe, GpuProbeError, ProbeFailed } from "../../src/services/GpuProbe.ts"

it.effect("NoGpuProbe knows no device", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* (yield* GpuProbe).read, [])
  }).pipe(Effect.provide(NoGpuProbe.layer)))

it.effect("MockGpuProbe reads what its handle holds, failures too", () =>
  Effect.gen(function* () {
    const probe = yield* GpuProbe
    assert.lengthOf(yield* probe.read, 1)
    yield* Ref.set(
      yield* MockGpuProbe.MockReadings,
      Effect.fail(new GpuProbeError({ reason: new ProbeFailed({ description: "lost" }) })),
    )
    assert.strictEqual((yield* Effect.flip(probe.read)).reason._tag, "ProbeFailed")
  }).pipe(Effect.provide(MockGpuProbe.layer([{
    uuid: "GPU-1",
    name: "a card",
    total: Option.some(ByteSize.gibibytes(24)),
    free: Option.none(),
    used: Option.none(),
    utilisation: Option.none(),
  }]))))
