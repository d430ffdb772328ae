/**
 * What every `GpuProbe` must do.
 *
 * @since 0.1.0
 */
import { ByteSize, Duration, Effect, type Layer, Option, Schema } from "effect"
import { GpuProbe, GpuProbeError, type GpuReading, GpuReadings } from "../../services/GpuProbe.ts"
import * as assert from "../assert.ts"
import { type Check, checkLive } from "../checks.ts"
import { tracked } from "../outstanding.ts"

const kinds = ["gpu", "mig", "integrated", "system"]

/** Throws where readings cannot be right. Holds for every read of every probe. @category assertions @since 0.1.0 */
export const plausible = ({ devices, source }: GpuReadings): void => {
  assert.notStrictEqual(source, "")
  const uuids = devices.map(({ uuid }) => uuid)
  assert.isTrue(new Set(uuids).size === uuids.length, "no device is listed twice")
  for (const device of devices) {
    assert.notStrictEqual(device.uuid, "")
    assert.notStrictEqual(device.name, "")
    assert.isTrue(kinds.includes(device.kind), device.kind)
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

const isUnhealthy = ({ health }: GpuReading): boolean =>
  Option.isSome(health) && health.value._tag === "Unhealthy" && health.value.reason !== ""

/** @category models @since 0.1.0 */
export interface Options {
  /** A probe that shows at least one device, of `kind`. */
  readonly working: Layer.Layer<GpuProbe, unknown>
  readonly kind: "gpu" | "mig" | "integrated" | "system"
  /** A probe that cannot read, and the tag of the reason. */
  readonly failing: readonly [Layer.Layer<GpuProbe, unknown>, reason: string]
  /** A probe whose source can read every device but one, which is lost. */
  readonly partial?: Layer.Layer<GpuProbe, unknown> | undefined
  /** A probe whose source takes the question and never answers. */
  readonly hanging?: Layer.Layer<GpuProbe, unknown> | undefined
}

const reading = Effect.map(GpuProbe, (probe) => tracked(`read of ${probe.source}`, probe.read))

const losesOne = (partial: Layer.Layer<GpuProbe, unknown>): Check =>
  checkLive(
    "shows the devices that work beside one that is lost, and that one as unhealthy",
    () =>
      Effect.gen(function* () {
        const read = yield* reading
        for (let times = 0; times < 2; times++) {
          const readings = yield* read
          plausible(readings)
          const lost = readings.devices.filter((device) => isUnhealthy(device) && Option.isNone(device.free))
          assert.strictEqual(lost.length, 1, "one device is lost")
          const well = readings.devices.filter((device) => !isUnhealthy(device) && Option.isSome(device.free))
          assert.strictEqual(well.length, readings.devices.length - 1, "all others work")
          assert.isTrue(well.length > 0, "there is another device")
        }
      }).pipe(Effect.provide(partial)),
  )

const ends = (hanging: Layer.Layer<GpuProbe, unknown>): Check =>
  checkLive("ends in time what never answers, for every caller", () =>
    Effect.gen(function* () {
      const read = yield* reading
      const [took, errors] = yield* Effect.timed(
        Effect.all(Array.from({ length: 5 }, () => Effect.flip(read)), { concurrency: "unbounded" }),
      )
      for (const { reason } of errors) assert.strictEqual(reason._tag, "Timeout")
      assert.isBelow(Duration.toMillis(took), 3_000)
    }).pipe(Effect.provide(hanging)))

/** In real time. @category contracts @since 0.1.0 */
export const contract = (options: Options): ReadonlyArray<Check> => {
  const { failing: [failing, reason], hanging, partial } = options
  const checks = [
    checkLive("shows a device, with memory that can be", () =>
      Effect.gen(function* () {
        const probe = yield* GpuProbe
        const readings = yield* yield* reading
        plausible(readings)
        assert.isTrue(readings.devices.some(({ kind }) => kind === options.kind), `a device that is ${options.kind}`)
        assert.isTrue(readings.devices.some(({ total }) => Option.isSome(total)))
        assert.notStrictEqual(probe.source, "")
      }).pipe(Effect.provide(options.working))),

    checkLive("names a device the same each time", () =>
      Effect.gen(function* () {
        const read = yield* reading
        const names = Effect.map(read, ({ devices }) => devices.map(({ uuid }) => uuid))
        assert.deepStrictEqual(yield* names, yield* names)
      }).pipe(Effect.provide(options.working))),

    checkLive("answers many callers at once", () =>
      Effect.gen(function* () {
        const read = yield* reading
        const all = yield* Effect.all(Array.from({ length: 20 }, () => read), { concurrency: "unbounded" })
        for (const readings of all) assert.strictEqual(readings.devices.length, all[0]?.devices.length)
      }).pipe(Effect.provide(options.working))),

    checkLive("can be read again after a caller left", () =>
      Effect.gen(function* () {
        const read = yield* reading
        yield* Effect.timeoutOption(read, "1 millis")
        plausible(yield* read)
      }).pipe(Effect.provide(options.working))),

    checkLive("comes back whole from JSON", () =>
      Effect.gen(function* () {
        const readings = yield* yield* reading
        const codec = Schema.fromJsonString(GpuReadings)
        const text = yield* Schema.encodeEffect(codec)(readings)
        assert.deepStrictEqual(yield* Schema.decodeEffect(codec)(text), readings)
      }).pipe(Effect.provide(options.working))),

    checkLive("says what is wrong, in a type and in words", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(yield* reading)
        assert.ok(error instanceof GpuProbeError, "a GpuProbeError")
        assert.strictEqual(error.reason._tag, reason, error.message)
        assert.notStrictEqual(error.reason.description, "")
        assert.isTrue(error.message.includes(error.source), error.message)
      }).pipe(Effect.provide(failing))),
  ]
  const more = [
    ...(partial === undefined ? [] : [losesOne(partial)]),
    ...(hanging === undefined ? [] : [ends(hanging)]),
  ]
  return [...checks, ...more]
}
