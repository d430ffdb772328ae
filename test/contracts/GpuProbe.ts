import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, type Layer, Option, Schema } from "effect"
import { GpuProbe, GpuProbeError, GpuReadings } from "../../src/services/GpuProbe.ts"

const kinds = ["gpu", "mig", "integrated", "system"]

/** Holds for every read of every probe, whatever it reads. */
export const plausible = ({ devices, source }: GpuReadings): void => {
  assert.notStrictEqual(source, "")
  const uuids = devices.map(({ uuid }) => uuid)
  assert.deepStrictEqual([...new Set(uuids)], uuids, "no device is listed twice")
  for (const device of devices) {
    assert.notStrictEqual(device.uuid, "")
    assert.notStrictEqual(device.name, "")
    assert.include(kinds, device.kind)
    const total = Option.getOrUndefined(device.total)
    if (total === undefined) {
      assert.isTrue(Option.isNone(device.free), "free of an unknown total means nothing")
      continue
    }
    assert.isFalse(ByteSize.isZero(total), "no memory at all is not known, rather than zero")
    for (const part of [device.free, device.used]) {
      assert.isTrue(Option.isNone(part) || ByteSize.isLessThanOrEqualTo(part.value, total))
    }
    if (Option.isSome(device.utilisation)) assert.isTrue(device.utilisation.value >= 0 && device.utilisation.value <= 1)
  }
}

export interface Options<E, EF> {
  /** Shows at least one device. */
  readonly working: Layer.Layer<GpuProbe, E>
  readonly kind: "gpu" | "mig" | "integrated" | "system"
  /** Cannot read, for this reason. */
  readonly failing: readonly [Layer.Layer<GpuProbe, EF>, reason: string]
  /** Accepts connections, opens files, answers calls, and never gives an answer. */
  readonly hanging?: Layer.Layer<GpuProbe> | undefined
}

export const suite = <E, EF>(name: string, options: Options<E, EF>): void => {
  const failing = options.failing[0]
  describe(`${name} is a GpuProbe`, () => {
    it.live("shows a device, with memory that can be", () =>
      Effect.gen(function* () {
        const probe = yield* GpuProbe
        const readings = yield* probe.read
        plausible(readings)
        assert.include(readings.devices.map(({ kind }) => kind), options.kind)
        assert.isTrue(readings.devices.some(({ total }) => Option.isSome(total)))
        assert.notStrictEqual(probe.source, "")
      }).pipe(Effect.provide(options.working)))

    it.live("names a device the same each time", () =>
      Effect.gen(function* () {
        const { read } = yield* GpuProbe
        const names = Effect.map(read, ({ devices }) => devices.map(({ uuid }) => uuid))
        assert.deepStrictEqual(yield* names, yield* names)
      }).pipe(Effect.provide(options.working)))

    it.live("answers many callers at once", () =>
      Effect.gen(function* () {
        const { read } = yield* GpuProbe
        const all = yield* Effect.all(Array.from({ length: 20 }, () => read), { concurrency: "unbounded" })
        for (const readings of all) assert.strictEqual(readings.devices.length, all[0]!.devices.length)
      }).pipe(Effect.provide(options.working)))

    it.live("can be read again after a caller left", () =>
      Effect.gen(function* () {
        const { read } = yield* GpuProbe
        yield* Effect.timeoutOption(read, "1 millis")
        plausible(yield* read)
      }).pipe(Effect.provide(options.working)))

    it.live("comes back whole from JSON", () =>
      Effect.gen(function* () {
        const readings = yield* (yield* GpuProbe).read
        const codec = Schema.fromJsonString(GpuReadings)
        const text = yield* Schema.encodeEffect(codec)(readings)
        assert.deepStrictEqual(yield* Schema.decodeEffect(codec)(text), readings)
      }).pipe(Effect.provide(options.working)))

    it.live("says what is wrong, in a type and in words", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* GpuProbe).read)
        assert.instanceOf(error, GpuProbeError)
        assert.strictEqual(error.reason._tag, options.failing[1], error.message)
        assert.notStrictEqual(error.reason.description, "")
        assert.include(error.message, error.source)
      }).pipe(Effect.provide(failing)))

    const { hanging } = options
    if (hanging === undefined) return
    it.live("ends in time what never answers, for every caller", () =>
      Effect.gen(function* () {
        const { read } = yield* GpuProbe
        const [took, errors] = yield* Effect.timed(
          Effect.all(Array.from({ length: 5 }, () => Effect.flip(read)), { concurrency: "unbounded" }),
        )
        for (const { reason } of errors) assert.strictEqual(reason._tag, "Timeout")
        assert.isBelow(Duration.toMillis(took), 3_000)
      }).pipe(Effect.provide(hanging)))
  })
}
