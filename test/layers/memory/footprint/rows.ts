/** The reference rows: sizes of buffers that llama.cpp logged, from public logs. All in MiB. */
import { readFileSync } from "node:fs"
import { type KvType, type RunShape, shape } from "../../../../src/services/Footprint.ts"
import type { Geometry } from "../../../../src/services/Geometry.ts"

export const mebibyte = 1024 * 1024

export interface Row {
  readonly id: string
  readonly src: string
  readonly arch: {
    readonly layers: number
    readonly embd: number
    readonly heads: number
    readonly kvHeads: number
    readonly kLen: number
    readonly vLen: number
    readonly vocab: number
    readonly swa?: {
      readonly window: number
      readonly layers: number
      readonly kvHeads?: number
      readonly kLen?: number
      readonly vLen?: number
    }
    readonly embedding?: boolean
  }
  readonly run: {
    readonly ctx: number
    readonly np: number
    readonly ub: number
    readonly fa: boolean
    readonly kv: KvType
    readonly swaSeqs?: number
  }
  /** The size of the file, if the log states it. */
  readonly fileMiB?: number
  readonly real: {
    readonly wGpu?: number
    readonly wCpu?: number
    readonly kv?: number
    readonly rs?: number
    readonly compute?: number
    readonly ctxOverhead?: number
  }
}

export const rows: ReadonlyArray<Row> = JSON.parse(
  readFileSync(new URL("../../../fixtures/footprints.json", import.meta.url), "utf8"),
)

/**
 * Models with one tensor for input and output. It is in system memory and on the GPU, and once in the file. From the
 * published configurations.
 */
const tied = ["llama3.2:3b", "qwen3:4b"]

/**
 * Recurrent layers that a row has in `rs` but not in `arch`: 48 of the 64 layers of Qwen 3.5 27B, from the published
 * configuration.
 */
const recurrentOf = (row: Row): Geometry["recurrent"] =>
  row.real.rs === undefined ? undefined : { layers: 48, elements: 3 * (6144 + 2 * 16 * 128) + 128 * 6144 }

export const isTied = (row: Row): boolean => tied.some((name) => row.id.startsWith(name))

export const geometryOf = (row: Row): Geometry => {
  const { arch } = row
  const { swa } = arch
  const windowed = Array.from({ length: arch.layers }, (_, layer) => layer < (swa?.layers ?? 0))
  return {
    architecture: "llama",
    layers: arch.layers,
    embeddingLength: arch.embd,
    heads: arch.heads,
    kvHeads: swa?.kvHeads === undefined ? arch.kvHeads : windowed.map((is) => is ? swa.kvHeads! : arch.kvHeads),
    keyLength: arch.kLen,
    valueLength: arch.vLen,
    sharedKvLayers: 0,
    vocabulary: arch.vocab,
    contextTrained: undefined,
    window: swa === undefined
      ? undefined
      : { size: swa.window, layers: windowed, keyLength: swa.kLen, valueLength: swa.vLen },
    latentLength: undefined,
    recurrent: recurrentOf(row),
    feedForward: undefined,
    experts: undefined,
    embedder: arch.embedding ?? false,
    encoder: arch.embedding ?? false,
    projector: false,
    draft: false,
    batch: undefined,
    inputWeights: undefined,
    exact: true,
  }
}

/** Devices of a row: the 70B row states the buffers of each of two. */
export const devicesOf = (row: Row): number => row.id.includes("per device") ? 2 : 1

/** `swaSeqs` sequences share one cache of `ctx` cells. */
export const shapeOf = (row: Row): RunShape => {
  const sequences = row.run.swaSeqs ?? row.run.np
  return shape({
    context: row.run.ctx * row.run.np / sequences,
    parallelism: sequences,
    batch: row.run.ub,
    flashAttention: row.run.fa ? "on" : "off",
    kvType: row.run.kv,
    unified: row.run.swaSeqs !== undefined,
    devices: devicesOf(row),
  })
}

/**
 * The size of the file: as stated, else everything that was loaded from it. Only the first row states it, so only
 * there the weights are a prediction. The other rows test which part of a file reaches the GPU.
 */
export const fileOf = (row: Row): number => row.fileMiB ?? (row.real.wGpu ?? 0) + (isTied(row) ? 0 : row.real.wCpu ?? 0)

/** Whether a row states all parts of the total. */
export const statesTotal = (row: Row): boolean =>
  row.real.wGpu !== undefined && row.real.kv !== undefined && row.real.compute !== undefined && devicesOf(row) === 1

/** The value that Ollama would have reported as `size_vram`: all buffers on GPUs. */
export const totalOf = ({ real }: Row): number =>
  (real.wGpu ?? 0) + (real.kv ?? 0) + (real.rs ?? 0) + (real.compute ?? 0)

const llama32 = { layers: 28, embd: 3072, heads: 24, kvHeads: 8, kLen: 128, vLen: 128, vocab: 128256 }

/**
 * More logged cases from sources of the same kind, which do not state the geometry. It is taken from the published
 * configurations. The weights of the Gemma row are from the same log as its other row.
 */
export const more: ReadonlyArray<Row> = [
  {
    id: "llama3.2:3b 2048 FA",
    src: "noted without geometry",
    arch: llama32,
    run: { ctx: 2048, np: 1, ub: 512, fa: true, kv: "f16" },
    real: { wGpu: 1918.36, wCpu: 308.24, kv: 224, compute: 284.9 },
  },
  ...rows.filter(({ id }) => id.startsWith("gemma4-12b")).map((row) => ({
    ...row,
    id: `${row.id} + weights`,
    real: { ...row.real, wGpu: 6390 },
  })),
  ...rows.filter(({ id }) => id.startsWith("gpt-oss-20b")).map((row) => ({
    ...row,
    id: row.id.replace("ub512", "ub2048"),
    run: { ...row.run, ub: 2048 },
    real: { kv: 3126, compute: 1672 },
  })),
]
