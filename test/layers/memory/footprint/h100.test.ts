/**
 * The estimates against what models took on a real NVIDIA H100 80GB with Ollama 0.33.0. `test/fixtures/h100.json` says
 * how the rows were read.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { computeBytes } from "../../../../src/layers/memory/footprint/compute.ts"
import { estimate } from "../../../../src/layers/memory/footprint/estimate.ts"
import { fromShow } from "../../../../src/layers/memory/footprint/geometry.ts"
import * as Lessons from "../../../../src/layers/memory/footprint/learn.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { type RunShape, shapeOn } from "../../../../src/services/Footprint.ts"
import type { Geometry } from "../../../../src/services/Geometry.ts"
import { mebibyte } from "./rows.ts"

interface Model {
  readonly arch: string
  readonly layers: number
  readonly embedding: number
  readonly heads: number
  readonly kvHeads: number
  readonly headLength: number
  readonly vocabulary: number
  readonly feedForward: number
  readonly file: number
  readonly trained: number
  readonly embedder?: boolean
}

interface Row {
  readonly model: string
  readonly context: number
  readonly parallelism: number
  readonly vram: number
}

const { driver, models, overhead, rows }: {
  readonly overhead: readonly [number, number]
  readonly models: Readonly<Record<string, Model>>
  readonly rows: ReadonlyArray<Row>
  readonly driver: ReadonlyArray<{ readonly resident: ReadonlyArray<number>; readonly used: number }>
} = JSON.parse(readFileSync(new URL("../../../fixtures/h100.json", import.meta.url), "utf8"))

/** Read from what `/api/show` says, as the router does. */
const geometryOf = ({ model }: Row, known: { readonly feedForward: boolean } = { feedForward: true }): Geometry => {
  const of = models[model]!
  const prefix = of.arch
  return fromShow({
    model_info: {
      "general.architecture": of.arch,
      "vocab_size": of.vocabulary,
      [`${prefix}.vocab_size`]: of.vocabulary,
      [`${prefix}.block_count`]: of.layers,
      [`${prefix}.embedding_length`]: of.embedding,
      [`${prefix}.attention.head_count`]: of.heads,
      [`${prefix}.attention.head_count_kv`]: of.kvHeads,
      [`${prefix}.attention.key_length`]: of.headLength,
      [`${prefix}.attention.value_length`]: of.headLength,
      [`${prefix}.context_length`]: of.trained,
      ...(known.feedForward ? { [`${prefix}.feed_forward_length`]: of.feedForward } : {}),
      ...(of.embedder === true ? { [`${prefix}.pooling_type`]: 3 } : {}),
    },
  })!
}

/**
 * The same with the token embedding as in the published Q4_K_M files, which then counts as system memory. The embedder
 * is F16, and its token embedding serves for the output as well.
 */
const tensorsOf = (row: Row): Geometry => {
  const { embedder, embedding, vocabulary } = models[row.model]!
  const bytes = vocabulary * embedding * (embedder === true ? 2 : 144 / 256)
  return { ...geometryOf(row), inputWeights: { bytes, tied: embedder === true ? bytes : 0 } }
}

const card = backend({ url: "http://h100", devices: ["GPU-h100"] })
const shapeOf = ({ context, parallelism }: Row): RunShape => shapeOn(card, { context, parallelism })
const fileOf = ({ model }: Row): number => models[model]!.file * mebibyte
const named = ({ context, model, parallelism }: Row): string => `${model} ${context} x ${parallelism}`

describe("estimate, against an H100", () => {
  for (const row of rows) {
    for (const version of ["0.33.0", undefined]) {
      for (const feedForward of [true, false]) {
        const told = `${version === undefined ? "" : `, version ${version}`}${
          feedForward ? "" : ", no feed-forward length"
        }`
        it(`${named(row)} is never under, and at most 8 % over, without having learned${told}`, () => {
          const { reserve } = estimate(geometryOf(row, { feedForward }), shapeOf(row), fileOf(row), version)
          assert.isAtLeast(reserve / mebibyte, row.vram + overhead[1])
          assert.isAtMost(reserve / mebibyte, (row.vram + overhead[0]) * 1.08)
        })
      }
    }

    it(`${named(row)} is never under, nor are its buffers, if the sizes of the tensors are known`, () => {
      const { parts, reserve } = estimate(tensorsOf(row), shapeOf(row), fileOf(row), "0.33.0")
      assert.isAtLeast(reserve / mebibyte, row.vram + overhead[1])
      assert.isAtMost(reserve / mebibyte, (row.vram + overhead[0]) * 1.08)
      assert.isAtLeast((parts!.weights.gpu + parts!.kv + parts!.compute) / mebibyte, row.vram)
    })

    it(`${named(row)}: what remains for the compute buffer is within its bound`, () => {
      const { parts } = estimate(geometryOf(row), shapeOf(row), fileOf(row), "0.33.0")
      // The weights in the file are an upper bound of those on the GPU, so this is at most what the buffer has.
      const least = row.vram - (parts!.weights.gpu + parts!.kv) / mebibyte
      assert.isAtLeast(parts!.compute / mebibyte, least)
      assert.strictEqual(parts!.compute, computeBytes(geometryOf(row), shapeOf(row), "0.33.0"))
      assert.strictEqual(parts!.overhead, overhead[1] * mebibyte)
    })

    it(`${named(row)} after its first load is at most 3 % over`, () => {
      const key: Lessons.LessonKey = {
        host: "h100",
        version: "0.33.0",
        digest: "d",
        shape: shapeOf(row),
        gpus: ["GPU-h100"],
      }
      const bytes = row.vram * mebibyte
      const seen = Lessons.observed(key, { size: bytes, sizeVram: bytes }, fileOf(row))!
      const made = estimate(geometryOf(row), shapeOf(row), fileOf(row), "0.33.0")
      const { reserve } = Lessons.corrected(Lessons.learn(Lessons.empty, key, seen), key, made)!
      assert.isAtLeast(reserve / mebibyte, row.vram + overhead[1])
      assert.isAtMost(reserve / mebibyte, (row.vram + overhead[0]) * 1.03)
    })
  }

  for (const { resident, used } of driver) {
    const those = resident.map((index) => rows[index]!)
    it(`together: ${those.map(named).join(", ")}`, () => {
      const sum = those.reduce((bytes, row) => bytes + estimate(geometryOf(row), shapeOf(row), fileOf(row)).reserve, 0)
      assert.isAtLeast(sum / mebibyte, used)
      assert.isAtMost(sum / mebibyte, used * 1.08)
    })
  }

  it("a server from before 0.30 or with a label counts what it says", () => {
    const row = rows[0]!
    const at = (labels: Readonly<Record<string, string>>, version?: string) =>
      estimate(
        geometryOf(row),
        shapeOn(backend({ url: "http://h100", devices: ["GPU-h100"], labels }), { context: 131072 }),
        fileOf(row),
        version,
      ).parts!.compute
    const [on, off, unknown] = ["on", "off", "unknown"].map((value) => at({ "flash-attention": value }))
    assert.strictEqual(at({}), on)
    assert.strictEqual(at({ "flash-attention": "maybe" }), on)
    assert.isAbove(off!, 10 * on!)
    assert.strictEqual(unknown, off)
    assert.strictEqual(at({}, "0.24.0"), off, "which models had it then is not known")
    assert.strictEqual(at({ "flash-attention": "on" }, "0.24.0"), at({}, "0.31.0"))
    assert.isAbove(at({}, "0.31.0"), on!, "logits for every token")
  })

  it("what automatic flash attention means depends on the model", () => {
    const row = rows[0]!
    const [on, off] = (["on", "off"] as const).map((flashAttention) => (changed: Partial<Geometry>) =>
      computeBytes({ ...geometryOf(row), ...changed }, { ...shapeOf(row), flashAttention })
    )
    const auto = (changed: Partial<Geometry>) => computeBytes({ ...geometryOf(row), ...changed }, shapeOf(row))
    for (const length of [64, 96, 128, 256]) {
      const changed = { keyLength: length, valueLength: length }
      assert.strictEqual(auto(changed), on!(changed), String(length))
    }
    const odd: ReadonlyArray<Partial<Geometry>> = [
      { architecture: "grok" },
      { keyLength: 192 },
      { keyLength: 48, valueLength: 48 },
      { latentLength: 576 },
      { window: { size: 128, layers: [true], keyLength: 36, valueLength: 36 } },
    ]
    for (const changed of odd) assert.strictEqual(auto(changed), off!(changed), JSON.stringify(changed))
  })
})
