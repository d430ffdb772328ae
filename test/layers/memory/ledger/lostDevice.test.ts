/** Devices that are lost, and what devices say about flash attention. */
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryVramLedger from "../../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import { backend, type BackendInput } from "../../../../src/services/Fleet.ts"
import { type Footprint, ModelFootprints, type RunShape } from "../../../../src/services/Footprint.ts"
import { type GpuReading, Unhealthy, unknown } from "../../../../src/services/GpuProbe.ts"
import { type Allocation, type NoRoom, VramLedger } from "../../../../src/services/VramLedger.ts"
import * as Footprints from "../../../../src/testing/footprints.ts"
import * as MockGpuProbe from "../../../../src/testing/mocks/MockGpuProbe.ts"
import { model } from "../../../../src/testing/mocks/MockModelCatalog.ts"

const gib = 1024 ** 3
const input = { url: "http://a", id: "a", devices: ["g0", "g1"] }
const a = backend(input)
const card = (uuid: string, free = 24, computeCapability?: number): GpuReading =>
  MockGpuProbe.device(uuid, ByteSize.gibibytes(24), {
    freeBytes: ByteSize.gibibytes(free),
    computeCapability: Option.fromUndefinedOr(computeCapability),
  })
const lost = (uuid: string): GpuReading => ({
  ...unknown(uuid, uuid, "gpu"),
  health: Option.some(new Unhealthy({ reason: "GPU is lost" })),
})
const one = (name: string) => model({ name, owners: ["a"] })
const both = (name: string) => model({ name, owners: ["a", "b"] })

const begun = (made: Allocation | NoRoom): Allocation => {
  assert(!("_tag" in made), "_tag" in made ? made.reason : "")
  made.move("loading")
  return made
}
const loaded = (made: Allocation | NoRoom): Allocation => {
  const allocation = begun(made)
  allocation.move("resident")
  return allocation
}

const stack = (first: ReadonlyArray<GpuReading>, more: ReadonlyArray<BackendInput> = []) =>
  MemoryVramLedger.layer().pipe(
    Layer.provideMerge(Layer.mergeAll(
      MockGpuProbe.layer(first),
      Footprints.table({ "m:latest": 6 * gib, "n:latest": 6 * gib, "big:latest": 40 * gib }),
      Layer.orDie(StaticFleet.layer([input, ...more])),
    )),
  )

const shares = (made: Allocation) => made.shares().map(({ bytes, device }) => [device, bytes / gib])

describe("a lost device beside a healthy one", () => {
  for (const first of [[card("g0"), lost("g1")], [card("g0"), card("g1")]]) {
    it.effect(`gets no load, and does not keep the other from loads: ${first[1]!.name} at first`, () =>
      Effect.gen(function* () {
        const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
        const show = (...shown: ReadonlyArray<GpuReading>) => Effect.andThen(readings.set(shown), ledger.refresh)
        yield* show(card("g0"), lost("g1"))
        assert.strictEqual(ledger.room(a), 22 * gib)
        assert.isTrue(ledger.managed(a))
        const made = loaded(ledger.reserve(a, one("m")))
        assert.deepStrictEqual(shares(made), [["g0", 6]])
        yield* show(card("g0", 18), lost("g1"))
        // The lost device cannot show that nothing is on it.
        assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("n")))), [["g0", 6]])
        yield* show(card("g0", 12), card("g1"))
        assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("m")))), [["g1", 6]])
      }).pipe(Effect.provide(stack(first))))
  }

  it.effect("is no obstacle if it is lost during a load", () =>
    Effect.gen(function* () {
      const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
      const made = begun(ledger.reserve(a, one("m")))
      yield* readings.set([card("g0", 18), lost("g1")])
      yield* ledger.refresh
      assert.deepInclude(ledger.reserve(a, one("n")), { _tag: "NoRoom", never: false })
      made.move("resident")
      yield* ledger.refresh
      loaded(ledger.reserve(a, one("n")))
    }).pipe(Effect.provide(stack([card("g0"), card("g1")]))))

  it.effect("a model that needs both is loaded on the one that is left", () =>
    Effect.gen(function* () {
      const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
      assert.isAbove(ledger.needs(a, one("big"))!, 22 * gib)
      yield* readings.set([card("g0"), lost("g1")])
      yield* ledger.refresh
      assert.strictEqual(ledger.needs(a, one("big")), 22 * gib)
      assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("big")))), [["g0", 22]])
    }).pipe(Effect.provide(stack([card("g0"), card("g1")]))))

  it.effect("where all are lost no model is loaded, until one is back", () =>
    Effect.gen(function* () {
      const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
      yield* readings.set([lost("g0"), lost("g1")])
      yield* ledger.refresh
      for (const name of ["m", "big"]) assert.deepInclude(ledger.reserve(a, one(name)), { _tag: "NoRoom", never: true })
      yield* readings.set([lost("g0"), card("g1")])
      yield* ledger.refresh
      assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("m")))), [["g1", 6]])
    }).pipe(Effect.provide(stack([card("g0"), card("g1")]))))

  it.effect("a device that the probe no longer lists beside the other one gets no load", () =>
    Effect.gen(function* () {
      const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
      yield* readings.set([card("g0", 10)])
      yield* ledger.refresh
      assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("m")))), [["g0", 6]])
    }).pipe(Effect.provide(stack([card("g0"), card("g1")]))))
})

describe("a device that the probe does not list beside another one, but that a second backend uses", () => {
  const second = { url: "http://b", id: "b", devices: ["g1"] }
  const b = backend(second)
  const refused = (made: Allocation | NoRoom) => assert.deepInclude(made, { _tag: "NoRoom", never: false })
  const test = (
    name: string,
    run: (
      ledger: VramLedger["Service"],
      show: (...shown: ReadonlyArray<GpuReading>) => Effect.Effect<void>,
    ) => Effect.Effect<void>,
  ) =>
    it.effect(name, () =>
      Effect.gen(function* () {
        const [ledger, readings] = [yield* VramLedger, yield* MockGpuProbe.MockReadings]
        const show = (...shown: ReadonlyArray<GpuReading>) => Effect.andThen(readings.set(shown), ledger.refresh)
        yield* show(card("g0"))
        yield* run(ledger, show)
      }).pipe(Effect.provide(stack([card("g0"), card("g1")], [second]))))

  test(
    "gets no load while the other backend may be loading there, or has loaded there, until it is read",
    (ledger, show) =>
      Effect.gen(function* () {
        const made = begun(ledger.reserve(a, one("m")))
        assert.deepStrictEqual(shares(made), [["g0", 6]])
        for (const name of ["m", "big"]) refused(ledger.reserve(b, both(name)))
        made.move("resident")
        yield* show(card("g0"))
        for (const name of ["m", "big"]) refused(ledger.reserve(b, both(name)))
        // It is no obstacle to the device that is listed.
        assert.deepStrictEqual(shares(loaded(ledger.reserve(a, one("n")))), [["g0", 6]])
        // Ollama has put both there.
        yield* show(card("g0"), card("g1", 12))
        assert.deepStrictEqual(shares(loaded(ledger.reserve(b, both("m")))), [["g1", 6]])
        refused(ledger.reserve(b, both("n")))
      }),
  )

  test("the same for a load over all of a backend's memory", (ledger, show) =>
    Effect.gen(function* () {
      const made = begun(ledger.reserve(a, both("big")))
      assert.deepStrictEqual(shares(made), [["g0", 22]])
      for (const name of ["m", "big"]) refused(ledger.reserve(b, both(name)))
      made.move("resident")
      yield* show(card("g0", 2), card("g1", 5))
      refused(ledger.reserve(b, both("m")))
    }))

  test("the same for a model that was found there", (ledger, show) =>
    Effect.gen(function* () {
      const found = { size: 6 * gib, sizeVram: 6 * gib, contextLength: 4096, automatic: false }
      const made = ledger.adopt(a, "m:latest", found)
      assert.deepStrictEqual(shares(made), [["g0", 6]])
      refused(ledger.reserve(b, both("m")))
      yield* show(card("g0"), card("g1", 18))
      assert.deepStrictEqual(shares(loaded(ledger.reserve(b, both("m")))), [["g1", 6]])
    }))

  test("the other backend begins no load while one is under way there", (ledger, show) =>
    Effect.gen(function* () {
      const made = begun(ledger.reserve(b, both("m")))
      for (const name of ["n", "big"]) refused(ledger.reserve(a, both(name)))
      made.move("resident")
      yield* show(card("g0"))
      assert.deepStrictEqual(shares(loaded(ledger.reserve(a, both("n")))), [["g0", 6]])
    }))

  test("gets a load by its last reading, if the other backend has loaded nothing since", (ledger) =>
    Effect.sync(() => {
      assert.deepStrictEqual(shares(loaded(ledger.reserve(b, both("m")))), [["g1", 6]])
    }))
})

describe("flash attention by device", () => {
  const known: Footprint = { parts: undefined, total: gib, margin: 0, reserve: gib, source: "estimated" }
  const cases: ReadonlyArray<
    readonly [capabilities: ReadonlyArray<number | undefined>, shape: Partial<RunShape>, label?: string]
  > = [
    [[undefined, undefined], { flashAttention: "auto", batch: undefined }],
    [[9, 8.6], { flashAttention: "auto", batch: undefined }],
    [[7, 12.1], { flashAttention: "auto", batch: undefined }],
    [[7.5, 6.1], { flashAttention: "unknown", batch: undefined }],
    [[9, 5.2], { flashAttention: "off", batch: 512 }],
    [[7.2, 7.2], { flashAttention: "off", batch: 512 }],
    [[3.7, undefined], { flashAttention: "off", batch: 512 }],
    [[9, 9], { flashAttention: "off", batch: undefined }, "off"],
    [[5.2, 5.2], { flashAttention: "on", batch: undefined }, "on"],
    [[9, 9], { flashAttention: "unknown", batch: undefined }, "unknown"],
  ]
  for (const [capabilities, expected, label] of cases) {
    const said = label === undefined ? "" : `, label ${label}`
    it.effect(`is ${expected.flashAttention} with ${capabilities.map((each) => each ?? "?").join(" and ")}${said}`, () => {
      const shapes: Array<RunShape> = []
      const recording = Layer.succeed(ModelFootprints, {
        of: (_model, _backend, shape) => {
          shapes.push(shape)
          return known
        },
        geometry: () => undefined,
        learn: () => ({ before: undefined, after: undefined, exceeded: 0 }),
        prepare: () => Effect.void,
        version: () => 0,
      })
      const labelled = { ...input, labels: label === undefined ? {} : { "flash-attention": label } }
      return Effect.gen(function* () {
        const ledger = yield* VramLedger
        loaded(ledger.reserve(backend(labelled), one("m")))
        assert.isAbove(shapes.length, 0)
        for (const shape of shapes) assert.deepInclude(shape, expected)
      }).pipe(Effect.provide(
        MemoryVramLedger.layer().pipe(Layer.provideMerge(Layer.mergeAll(
          MockGpuProbe.layer(capabilities.map((capability, index) => card(`g${index}`, 24, capability))),
          recording,
          Layer.orDie(StaticFleet.layer([labelled])),
        ))),
      ))
    })
  }
})
