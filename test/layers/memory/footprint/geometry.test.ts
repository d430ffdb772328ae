import { assert, describe, it } from "@effect/vitest"
import { kvBytes } from "../../../../src/layers/memory/footprint/estimate.ts"
import { fromShow } from "../../../../src/layers/memory/footprint/geometry.ts"
import { inputWeights, tensorBytes } from "../../../../src/layers/memory/footprint/tensors.ts"
import { shape } from "../../../../src/services/Footprint.ts"
import type { Geometry } from "../../../../src/services/Geometry.ts"
import { embedder, llama31, tinyEmbed } from "../../../../src/simulated/models/model.ts"
import { modelInfo, tensors } from "../../../../src/simulated/models/show.ts"
import { geometryOf, mebibyte, rows } from "./rows.ts"

const llama = {
  "general.architecture": "llama",
  "llama.block_count": 32,
  "llama.embedding_length": 4096,
  "llama.attention.head_count": 32,
  "llama.attention.head_count_kv": 8,
  "llama.context_length": 131_072,
  "llama.vocab_size": 128_256,
  "llama.feed_forward_length": 14_336,
  "tokenizer.ggml.tokens": null,
}

const read = (model_info: Record<string, unknown>, more: object = {}): Geometry => {
  const geometry = fromShow({ model_info, ...more })
  assert.isDefined(geometry)
  return geometry
}

/** The fields of a llama under another architecture, with changes. */
const of = (architecture: string, info: Record<string, unknown>): Record<string, unknown> => ({
  "general.architecture": architecture,
  ...Object.fromEntries(
    Object.entries(llama).slice(1).map(([key, value]) => [key.replace(/^llama\./, `${architecture}.`), value]),
  ),
  ...Object.fromEntries(Object.entries(info).map(([key, value]) => [`${architecture}.${key}`, value])),
})

const withheld = [null, []]

describe("fromShow", () => {
  it("reads a llama as in the reference row", () => {
    assert.deepInclude(read(llama), {
      architecture: "llama",
      layers: 32,
      heads: 32,
      kvHeads: 8,
      keyLength: 128,
      valueLength: 128,
      vocabulary: 128_256,
      contextTrained: 131_072,
      window: undefined,
      recurrent: undefined,
      embedder: false,
      exact: true,
    })
    const run = shape({ context: 8192 })
    assert.strictEqual(kvBytes(read(llama), run), kvBytes(geometryOf(rows[0]!), run))
  })

  it("returns undefined if the answer lacks a field that every model has", () => {
    assert.isUndefined(fromShow({}))
    assert.isUndefined(fromShow({ model_info: null }))
    assert.isUndefined(fromShow({ model_info: { "general.architecture": "llama" } }))
    for (const key of ["general.architecture", "llama.block_count", "llama.embedding_length"]) {
      assert.isUndefined(fromShow({ model_info: { ...llama, [key]: undefined } }), key)
      assert.isUndefined(fromShow({ model_info: { ...llama, [key]: -1 } }), key)
    }
  })

  it("stated lengths of keys and values replace those computed from the embedding", () => {
    const qwen = read(
      of("qwen3", { embedding_length: 2560, "attention.key_length": 128, "attention.value_length": 128 }),
    )
    assert.deepInclude(qwen, { keyLength: 128, valueLength: 128 })
    assert.deepInclude(read(of("qwen2", { embedding_length: 3584, "attention.head_count": 28 })), { keyLength: 128 })
  })

  it("a missing number of key heads means one for each head, as in llama.cpp; it is also the bound if the array is left out", () => {
    const { "llama.attention.head_count_kv": _, ...missing } = llama
    assert.deepInclude(read(missing), { kvHeads: 32, exact: true })
    for (const value of withheld) {
      assert.deepInclude(read({ ...llama, "llama.attention.head_count_kv": value }), { kvHeads: 32, exact: false })
      assert.deepInclude(read({ ...llama, "llama.attention.head_count": value }), { heads: 64, exact: false })
    }
    const perLayer = Array.from({ length: 32 }, (_, layer) => layer % 2 === 0 ? 8 : 4)
    assert.deepInclude(read({ ...llama, "llama.attention.head_count_kv": perLayer }), {
      kvHeads: perLayer,
      exact: true,
    })
  })

  it("the vocabulary is read from its key, the tokens or a tensor, else it is the largest one known", () => {
    const { "llama.vocab_size": _, ...silent } = llama
    assert.strictEqual(read(silent).vocabulary, 262_144)
    assert.strictEqual(read({ ...silent, "tokenizer.ggml.tokens": ["a", "b"] }).vocabulary, 2)
    const token = { name: "token_embd.weight", type: "Q4_K", shape: [4096, 32_000] }
    assert.strictEqual(read(silent, { tensors: [token] }).vocabulary, 32_000)
  })

  it("windows are read by architecture, period or list, and ignored where llama.cpp ignores them", () => {
    const count = (info: Record<string, unknown>) => read(info).window?.layers.filter(Boolean).length
    assert.strictEqual(count(of("gemma2", { block_count: 26, "attention.sliding_window": 4096 })), 13)
    assert.strictEqual(count(of("gemma3", { block_count: 48, "attention.sliding_window": 1024 })), 40)
    assert.strictEqual(count(of("gptoss", { block_count: 24, "attention.sliding_window": 128 })), 12)
    assert.strictEqual(
      count(of("gemma3", { block_count: 48, "attention.sliding_window": 1024, "attention.sliding_window_pattern": 3 })),
      32,
    )
    assert.strictEqual(count(of("llama4", { block_count: 48 })), 36)
    const pattern = Array.from({ length: 32 }, (_, layer) => layer < 10)
    const gemma4 = of("gemma4", {
      "attention.sliding_window": 1024,
      "attention.sliding_window_pattern": pattern,
      "attention.key_length": 512,
      "attention.key_length_swa": 256,
      "attention.value_length_swa": 256,
      "attention.shared_kv_layers": 2,
    })
    assert.deepInclude(read(gemma4), {
      window: { size: 1024, layers: pattern, keyLength: 256, valueLength: 256 },
      sharedKvLayers: 2,
      exact: true,
    })
    assert.deepStrictEqual(
      read(of("modern-bert", { block_count: 4, "attention.sliding_window": 128 })).window?.layers,
      [false, true, true, false],
    )
    for (const architecture of ["llama", "phi3"]) {
      assert.isUndefined(read(of(architecture, { "attention.sliding_window": 4096 })).window)
    }
    for (const value of withheld) {
      const hidden = of("gemma4", { "attention.sliding_window": 1024, "attention.sliding_window_pattern": value })
      assert.deepInclude(read(hidden), { window: undefined, exact: false })
    }
  })

  it("latent attention is used only in files made for it", () => {
    const deepseek = { "attention.kv_lora_rank": 512, "rope.dimension_count": 64, "attention.head_count_kv": 1 }
    assert.deepInclude(read(of("deepseek2", { ...deepseek, "attention.key_length_mla": 192 })), {
      latentLength: 576,
      exact: false,
    })
    assert.deepInclude(read(of("deepseek2", deepseek)), { latentLength: undefined })
  })

  it("hybrids are read by interval or by heads; else every layer counts as both", () => {
    const ssm = { "ssm.conv_kernel": 4, "ssm.inner_size": 6144, "ssm.group_count": 16, "ssm.state_size": 128 }
    const qwen = read(
      of("qwen35", { ...ssm, block_count: 64, full_attention_interval: 4, "attention.head_count_kv": 4 }),
    )
    assert.deepStrictEqual(qwen.recurrent, geometryOf(rows.find(({ real }) => real.rs !== undefined)!).recurrent)
    assert.strictEqual((qwen.kvHeads as ReadonlyArray<number>).filter((heads) => heads === 4).length, 16)
    assert.isTrue(qwen.exact)
    const sparse = Array.from({ length: 32 }, (_, layer) => layer % 8 === 7 ? 8 : 0)
    assert.deepInclude(read(of("granitehybrid", { ...ssm, "attention.head_count_kv": sparse })), { kvHeads: sparse })
    assert.strictEqual(read(of("granitehybrid", { ...ssm, "attention.head_count_kv": sparse })).recurrent?.layers, 28)
    assert.deepInclude(read(of("falcon-h1", ssm)), { kvHeads: 8, exact: false })
    assert.strictEqual(read(of("falcon-h1", ssm)).recurrent?.layers, 32)
    assert.deepInclude(read(of("mamba", { ...ssm, "attention.head_count": 0 })), { heads: 0, kvHeads: 0 })
    assert.strictEqual(
      read(of("lfm2", { "shortconv.l_cache": 3, "attention.head_count_kv": sparse })).recurrent?.elements,
      8192,
    )
    assert.deepInclude(read(of("rwkv7", { "wkv.head_size": 64 })), {
      kvHeads: 0,
      recurrent: { layers: 32, elements: 4096 * 66 },
    })
  })

  it("recognises embedders, encoders, projectors, drafts, batches and unknown architectures", () => {
    assert.deepInclude(read(of("nomic-bert", { "attention.causal": false })), { embedder: true, encoder: true })
    assert.deepInclude(read(of("qwen3", { pooling_type: 3 })), { embedder: true, encoder: false })
    for (
      const more of [{ capabilities: ["completion", "vision"] }, {
        projector_info: { "clip.has_vision_encoder": true },
      }]
    ) {
      assert.isTrue(read(llama, more).projector)
    }
    assert.isTrue(read(of("gemma3", { "vision.block_count": 27 })).projector)
    assert.isFalse(read(llama, { capabilities: ["completion"], projector_info: null }).projector)
    const own = of("qwen35", { nextn_predict_layers: 1 })
    assert.isFalse(read(own).draft)
    assert.isTrue(read(own, { parameters: "draft_num_predict              4" }).draft)
    assert.isTrue(read(llama, { modelfile: "FROM a\nDRAFT b\n" }).draft)
    assert.strictEqual(read(llama, { parameters: 'stop   "a"\nnum_batch                      256' }).batch, 256)
    assert.isUndefined(read(llama, { parameters: "num_ctx 256" }).batch)
    assert.isFalse(read(of("something-new", {})).exact)
  })

  it("reads the answers of simulated servers, with and without verbose", () => {
    for (const model of [llama31, embedder, tinyEmbed]) {
      for (const verbose of [false, true]) {
        const { capabilities } = model
        const answer = { model_info: modelInfo(model, verbose), capabilities }
        const geometry = fromShow(verbose ? { ...answer, tensors: tensors(model) as never } : answer)
        assert.deepInclude(geometry, {
          layers: model.blocks,
          kvHeads: model.kvHeads,
          vocabulary: model.vocabulary,
          embedder: capabilities.includes("embedding"),
          exact: true,
        })
      }
    }
  })
})

describe("tensors", () => {
  it("have the bytes of the token embeddings in the reference logs", () => {
    const bytes = (type: string, ...shape: ReadonlyArray<number>) => tensorBytes({ name: "", type, shape })! / mebibyte
    assert.closeTo(bytes("Q4_K", 4096, 128_256), 281.81, 0.005)
    assert.closeTo(bytes("Q4_K", 8192, 128_256), 563.62, 0.005)
    assert.closeTo(bytes("Q4_K", 5120, 152_064), 417.66, 0.005)
    assert.closeTo(bytes("Q6_K", 2560, 151_936), 304.28, 0.005)
    assert.closeTo(bytes("Q6_K", 3072, 128_256), 308.24, 0.01)
    assert.isUndefined(tensorBytes({ name: "", type: "Q9_Z", shape: [1] }))
  })
  it("an embedding that is also the output is on the GPU as well", () => {
    const token = { name: "token_embd.weight", type: "F16", shape: [64, 100] }
    const output = { name: "output.weight", type: "F16", shape: [64, 100] }
    const perLayer = { name: "per_layer_token_embd.weight", type: "F16", shape: [256, 100] }
    assert.deepStrictEqual(inputWeights([token, output]), { bytes: 12_800, tied: 0 })
    assert.deepStrictEqual(inputWeights([token]), { bytes: 12_800, tied: 12_800 })
    assert.deepStrictEqual(inputWeights([token, perLayer]), { bytes: 64_000, tied: 12_800 })
    assert.isUndefined(inputWeights([]))
    assert.isUndefined(inputWeights([{ ...token, type: "Q9_Z" }]))
  })
})
