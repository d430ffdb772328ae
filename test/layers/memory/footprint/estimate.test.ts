import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Compute from "../../../../src/layers/memory/footprint/compute.ts"
import * as Estimate from "../../../../src/layers/memory/footprint/estimate.ts"
import { kvBytes, recurrentBytes } from "../../../../src/layers/memory/footprint/estimate.ts"
import { batchOf } from "../../../../src/layers/memory/footprint/run.ts"
import { type Footprint, kvTypes, type RunShape, shape } from "../../../../src/services/Footprint.ts"
import type { Geometry } from "../../../../src/services/Geometry.ts"
import { fileOf, geometryOf, isTied, mebibyte, more, type Row, rows, shapeOf, statesTotal, totalOf } from "./rows.ts"

const all = [...rows, ...more]

/** The logs are of builds of llama.cpp that reserve logits for every token, or it is not known of which build. */
const version = "0.24.0"
const estimate = (...[geometry, run, file]: Parameters<typeof Estimate.estimate>) =>
  Estimate.estimate(geometry, run, file, version)
const computeBytes = (geometry: Geometry, run: RunShape) => Compute.computeBytes(geometry, run, version)

/** Equal to the logged value, to the decimals that were logged. */
const assertLogged = (bytes: number, logged: number): void => {
  const decimals = String(logged).split(".")[1]?.length ?? 0
  assert.closeTo(bytes / mebibyte, logged, 0.5001 * 10 ** -decimals)
}

const percent = (estimated: number, real: number): number => (estimated / real - 1) * 100

/** The tensors of a row that the geometry is read from, as `verbose` would show them. */
const withTensors = (row: Row): Geometry => ({
  ...geometryOf(row),
  inputWeights: row.real.wCpu === undefined
    ? undefined
    : { bytes: row.real.wCpu * mebibyte, tied: isTied(row) ? row.real.wCpu * mebibyte : 0 },
})

const of = (row: Row, geometry: Geometry = geometryOf(row)): Footprint =>
  estimate(geometry, shapeOf(row), fileOf(row) * mebibyte)

/** The buffers, which the logs show. Only one log shows the memory of the process besides them. */
const buffers = ({ parts, total }: Footprint): number => (total - (parts?.overhead ?? 0)) / mebibyte

const cell = (value: number | undefined, digits = 0): string => value === undefined ? "-" : value.toFixed(digits)
const signed = (value: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(1)} %`

const table = (): string => {
  const lines = all.map((row) => {
    const made = of(row)
    const { real } = row
    const compute = computeBytes(geometryOf(row), shapeOf(row)) / mebibyte
    const stated = statesTotal(row)
    const total = totalOf(row)
    return [
      row.id,
      real.kv === undefined ? "-" : `${cell(real.kv)} / ${cell((made.parts?.kv ?? 0) / mebibyte)}`,
      real.compute === undefined
        ? "-"
        : `${cell(real.compute)} / ${cell(compute)} ${signed(percent(compute, real.compute))}`,
      stated ? `${cell(total)} / ${cell(buffers(made))} ${signed(percent(buffers(made), total))}` : "not stated",
      stated ? signed(percent(buffers(of(row, withTensors(row))), total)) : "",
      stated
        ? signed(percent((made.total + made.margin) / mebibyte - (made.parts?.overhead ?? 0) / mebibyte, total))
        : "",
    ]
  })
  const head = [
    "MiB: logged / estimated",
    "cache",
    "compute, one device",
    "total of buffers",
    "tensors known",
    "with margin",
  ]
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  return [head, ...lines].map((line) => line.map((text, column) => text.padEnd(widths[column]!)).join("  ").trimEnd())
    .join("\n")
}

describe("estimate, against logged buffers", () => {
  it("prints the table of errors", () => {
    process.stdout.write(`\n${table()}\n\n`)
    assert.isAtLeast(rows.length, 13)
    assert.deepStrictEqual(rows.filter(statesTotal).map(({ id }) => id.split(" ")[0]), [
      "llama3.1:8b",
      "llama3:8b",
      "nomic-embed-text",
      "qwen3:4b",
      "qwen",
    ])
  })

  for (const row of all) {
    const { compute, ctxOverhead, kv, rs } = row.real
    describe(row.id, () => {
      if (kv !== undefined) {
        it("the cache is exact", () => assertLogged(kvBytes(geometryOf(row), shapeOf(row)), kv))
      }
      if (rs !== undefined) {
        it("the recurrent state is exact", () => assertLogged(recurrentBytes(geometryOf(row), shapeOf(row)), rs))
      }
      if (compute !== undefined) {
        it("the compute buffer is an upper bound", () => {
          assert.isAtLeast(computeBytes(geometryOf(row), shapeOf(row)) / mebibyte, compute * 0.999)
          if (!row.run.fa && !row.arch.embedding) {
            assert.closeTo(computeBytes(geometryOf(row), shapeOf(row)) / mebibyte, compute, 0.5)
          }
        })
      }
      if (statesTotal(row)) {
        it("the total is within 10 %, and at most 2 % too low", () => {
          for (const geometry of [geometryOf(row), withTensors(row)]) {
            const error = percent(buffers(of(row, geometry)), totalOf(row))
            assert.isAtLeast(error, -2)
            assert.isAtMost(error, 10)
          }
          assert.isAtLeast(of(row).reserve / mebibyte, totalOf(row) + (ctxOverhead ?? 0))
        })
      }
    })
  }

  it("the weights of the row that states its file are within 0.2 % if the tensors are known", () => {
    const row = rows[0]!
    const weights = of(row, withTensors(row)).parts!.weights
    assert.closeTo(percent(weights.gpu / mebibyte, row.real.wGpu!), 0, 0.2)
    assert.closeTo(weights.cpu / mebibyte, row.real.wCpu!, 0.01)
    assert.strictEqual(of(row).parts!.weights.gpu / mebibyte, row.fileMiB)
  })

  it("KiB of cache for each token: llama 128, qwen2.5:1.5b 28", () => {
    const llama = geometryOf(rows[0]!)
    assert.strictEqual(kvBytes(llama, shape({ context: 4096 })) / 4096, 128 * 1024)
    const small = { ...llama, layers: 28, embeddingLength: 1536, heads: 12, kvHeads: 2 }
    assert.strictEqual(kvBytes(small, shape({ context: 4096 })) / 4096, 28 * 1024)
  })

  it("latent attention keeps one row for each layer and token", () => {
    const llama = geometryOf(rows[0]!)
    const deepseek = { ...llama, layers: 61, heads: 128, kvHeads: 1, latentLength: 576 }
    assert.strictEqual(kvBytes(deepseek, shape({ context: 4096 })), 61 * 576 * 2 * 4096)
  })
})

describe("the batch", () => {
  const generator = { embedder: false, batch: undefined }
  const embedder = { embedder: true, batch: undefined }
  it("follows Ollama's rule", () => {
    assert.strictEqual(batchOf(generator, shape({ context: 4096 })), 512)
    assert.strictEqual(batchOf(generator, shape({ context: 4097 })), 1024)
    assert.strictEqual(batchOf(generator, shape({ context: 32_768 })), 1024)
    assert.strictEqual(batchOf(generator, shape({ context: 32_769 })), 2048)
    // All sequences together: Ollama looks at the whole cache.
    assert.strictEqual(batchOf(generator, shape({ context: 2048, parallelism: 2 })), 512)
    assert.strictEqual(batchOf(generator, shape({ context: 2048, parallelism: 4 })), 1024)
    assert.strictEqual(batchOf(generator, shape({ context: 8192, parallelism: 8 })), 2048)
    assert.strictEqual(batchOf(embedder, shape({ context: 8192 })), 2048)
    assert.strictEqual(batchOf(embedder, shape({ context: 512 })), 512)
    assert.strictEqual(batchOf({ ...generator, batch: 64 }, shape({ context: 8192 })), 64)
    assert.strictEqual(batchOf({ ...generator, batch: 64 }, shape({ context: 8192, batch: 128 })), 128)
  })
})

describe("estimate", () => {
  const llama = geometryOf(rows[0]!)
  const at = (options: Partial<RunShape>, geometry: Partial<Geometry> = {}) =>
    estimate({ ...llama, ...geometry }, shape({ context: 4096, ...options }), 4_920_738_944)

  it("is the sum of its parts and a margin", () => {
    const { margin, parts, reserve, source, total } = at({ kvType: "q8_0" })
    assert.strictEqual(source, "estimated")
    const { compute, kv, overhead, projector, recurrent, weights } = parts!
    assert.strictEqual(total, Math.ceil(weights.gpu + kv + recurrent + compute + projector + overhead))
    assert.strictEqual(margin, Math.ceil(total * 0.03))
    assert.strictEqual(reserve, total + margin)
  })
  it("has a larger margin where less is known", () => {
    for (const less of [{ exact: false }, { draft: true }]) {
      const { margin, total } = at({}, less)
      assert.strictEqual(margin, Math.ceil(total * 0.25))
    }
    assert.strictEqual(
      at({ flashAttention: "unknown" }).parts!.compute,
      Math.max(
        at({ flashAttention: "on" }).parts!.compute,
        at({ flashAttention: "off" }).parts!.compute,
      ),
    )
    assert.strictEqual(at({}, { projector: true }).total - at({}).total, 1024 * mebibyte)
  })
  it("a quantised cache means flash attention, unless it is known to be off", () => {
    assert.strictEqual(at({ kvType: "q8_0" }).parts!.compute, at({ flashAttention: "on" }).parts!.compute)
    assert.strictEqual(at({ kvType: "q8_0" }).parts!.kv, at({}).parts!.kv * 34 / 64)
    assert.deepStrictEqual(at({ kvType: "q8_0", flashAttention: "off" }), at({ flashAttention: "off" }))
  })
  it("counts at most the context that a model was trained with, and one sequence of an embedder", () => {
    assert.deepStrictEqual(
      at({ context: 262_144, batch: 512 }, { contextTrained: 8192 }),
      at({ context: 8192, batch: 512 }),
    )
    assert.strictEqual(at({ parallelism: 4 }, { embedder: true }).parts!.kv, at({}).parts!.kv)
  })
  it("in system memory all weights are counted there", () => {
    const { parts, total } = at({ devices: 0 })
    assert.deepStrictEqual(parts!.weights, { gpu: 0, cpu: 4_920_738_944 })
    assert.isAbove(total, 4_920_738_944)
  })
  it("each GPU of a split model has buffers of its own", () => {
    const [one, two] = [at({}), at({ devices: 2 })]
    assert.strictEqual(two.parts!.compute, 2 * one.parts!.compute)
    assert.strictEqual(two.parts!.overhead, 2 * one.parts!.overhead)
    assert.strictEqual(two.parts!.kv, one.parts!.kv)
  })
})

const Int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Anything = Schema.Struct({
  layers: Int(1, 96),
  heads: Int(0, 128),
  kvHeads: Int(0, 32),
  keyLength: Int(0, 512),
  valueLength: Int(0, 512),
  embedding: Int(1, 16_384),
  vocabulary: Int(0, 300_000),
  window: Int(0, 8192),
  period: Int(1, 8),
  latent: Int(0, 1024),
  state: Int(0, 1_000_000),
  trained: Int(1, 1_048_576),
  shared: Int(0, 20),
  flags: Int(0, 63),
  context: Int(1, 300_000),
  contextMore: Int(0, 300_000),
  parallelism: Int(1, 16),
  parallelismMore: Int(0, 16),
  batch: Int(0, 4096),
  flash: Schema.Literals(["on", "off", "unknown"]),
  kvType: Schema.Literals(kvTypes),
  devices: Int(0, 8),
  file: Int(0, 500_000_000_000),
})

const drawn = (of: typeof Anything.Type): { readonly geometry: Geometry; readonly shape: RunShape } => {
  const bit = (index: number) => (of.flags & (1 << index)) !== 0
  return {
    geometry: {
      architecture: "drawn",
      layers: of.layers,
      embeddingLength: of.embedding,
      heads: of.heads,
      kvHeads: bit(0) ? of.kvHeads : Array.from({ length: of.layers }, (_, layer) => layer % 3 === 0 ? 0 : of.kvHeads),
      keyLength: of.keyLength,
      valueLength: of.valueLength,
      sharedKvLayers: of.shared,
      vocabulary: of.vocabulary,
      contextTrained: bit(1) ? of.trained : undefined,
      window: of.window === 0
        ? undefined
        : { size: of.window, layers: Array.from({ length: of.layers }, (_, layer) => layer % of.period !== 0) },
      latentLength: bit(2) ? of.latent : undefined,
      recurrent: of.state === 0 ? undefined : { layers: of.layers, elements: of.state },
      feedForward: undefined,
      experts: undefined,
      embedder: bit(3),
      encoder: bit(3) && bit(4),
      projector: bit(4),
      draft: false,
      batch: undefined,
      inputWeights: bit(5) ? { bytes: of.embedding * of.vocabulary, tied: 0 } : undefined,
      exact: bit(2),
    },
    shape: shape({
      context: of.context,
      parallelism: of.parallelism,
      batch: of.batch === 0 ? undefined : of.batch,
      flashAttention: of.flash,
      kvType: of.kvType,
      unified: bit(5),
      devices: of.devices,
    }),
  }
}

const numbers = ({ margin, parts, reserve, total }: Footprint): ReadonlyArray<number> => {
  const { compute, kv, overhead, projector, recurrent, weights } = parts!
  return [weights.gpu, weights.cpu, kv, recurrent, compute, projector, overhead, total, margin, reserve]
}

describe("any model in any shape", () => {
  const options = { arbitrary: { runs: 2000, seed: "footprints" } }

  it.prop("has a finite footprint of at least 0", { of: Anything }, ({ of }) => {
    const { geometry, shape } = drawn(of)
    const made = estimate(geometry, shape, of.file)
    for (const each of numbers(made)) assert.isTrue(Number.isFinite(each) && each >= 0, JSON.stringify(made))
    assert.isTrue(Number.isSafeInteger(made.reserve))
    assert.strictEqual(made.reserve, made.total + made.margin)
  }, options)

  it.prop("does not need less with more context, sequences, weights or GPUs", { of: Anything }, ({ of }) => {
    const { geometry, shape } = drawn(of)
    const parts = (changed: Partial<RunShape>, file = of.file) =>
      numbers(estimate(geometry, { ...shape, ...changed }, file))
    const before = parts({})
    const noLess = (after: ReadonlyArray<number>) =>
      after.forEach((each, index) => assert.isAtLeast(each, before[index]!))
    noLess(parts({ context: of.context + of.contextMore }))
    noLess(parts({ parallelism: of.parallelism + of.parallelismMore }))
    noLess(parts({}, of.file + 1_000_000))
    if (of.devices > 0) noLess(parts({ devices: of.devices + 1 }))
  }, options)

  it.prop("does not need more with a smaller type of cache", { of: Anything }, ({ of }) => {
    const { geometry, shape } = drawn(of)
    const bytes = (kvType: RunShape["kvType"]) => estimate(geometry, { ...shape, kvType }, of.file)
    const falling = ["f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] as const
    falling.forEach((type, index) => {
      if (index === 0) return
      const [larger, smaller] = [bytes(falling[index - 1]!), bytes(type)]
      assert.isAtMost(smaller.parts!.kv, larger.parts!.kv)
      assert.isAtMost(smaller.reserve, larger.reserve)
    })
    assert.strictEqual(bytes("bf16").reserve, bytes("f16").reserve)
  }, options)

  it.prop("does not need more when more is known", { of: Anything }, ({ of }) => {
    const { geometry, shape } = drawn(of)
    const reserve = (changed: Partial<Geometry>, flashAttention = shape.flashAttention) =>
      estimate({ ...geometry, ...changed }, { ...shape, flashAttention }, of.file).reserve
    assert.isAtMost(reserve({ exact: true }), reserve({ exact: false }))
    assert.isAtMost(reserve({ window: geometry.window }), reserve({ window: undefined }))
    assert.isAtMost(reserve({}, "on"), reserve({}, "unknown"))
    // A quantised cache already means that flash attention is on.
    if (/^[fb]/.test(shape.kvType)) assert.isAtMost(reserve({}, "off"), reserve({}, "unknown"))
  }, options)

  it.prop("a cache for all sequences is never larger than one for each", { of: Anything }, ({ of }) => {
    const { geometry, shape } = drawn(of)
    const at = (unified: boolean) => kvBytes(geometry, { ...shape, unified })
    assert.isAtMost(at(true), at(false))
  }, options)
})

describe("shape", () => {
  it("rejects impossible values", () => {
    for (
      const wrong of [{ context: 0 }, { context: 1.5 }, { context: NaN }, { context: 1, parallelism: 0 }, {
        context: 1,
        batch: 0,
      }, {
        context: 1,
        devices: -1,
      }]
    ) assert.throws(() => shape(wrong), RangeError)
  })
})
