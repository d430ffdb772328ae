/** The reference rows: buffer sizes that llama.cpp printed, in public logs. MiB throughout. */
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
  /** The file's size, where the log states it. */
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

/** One tensor is input and output in these, so the part in system memory is in the file once, and on the GPU as well. From the published configurations. */
const tied = ["llama3.2:3b", "qwen3:4b"]

/** Recurrent layers that a row counts in `rs` and leaves out of `arch`: Qwen 3.5 27B, 48 of 64 layers; from the published configuration. */
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

/** Devices of a row: the 70B one states what each of two has. */
export const devicesOf = (row: Row): number => row.id.includes("per device") ? 2 : 1

/** `swaSeqs` sequences share the one cache of `ctx` cells. */
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
 * The size of the file: as stated, else all that was loaded from it. Only the first row states it, so only there are the weights a prediction; in the others
 * they test which part of a file reaches the GPU.
 */
export const fileOf = (row: Row): number => row.fileMiB ?? (row.real.wGpu ?? 0) + (isTied(row) ? 0 : row.real.wCpu ?? 0)

/** Whether a row states all that makes up a total. */
export const statesTotal = (row: Row): boolean =>
  row.real.wGpu !== undefined && row.real.kv !== undefined && row.real.compute !== undefined && devicesOf(row) === 1

/** What Ollama would have reported as `size_vram`: all buffers on GPUs. */
export const totalOf = ({ real }: Row): number =>
  (real.wGpu ?? 0) + (real.kv ?? 0) + (real.rs ?? 0) + (real.compute ?? 0)

const llama32 = { layers: 28, embd: 3072, heads: 24, kvHeads: 8, kLen: 128, vLen: 128, vocab: 128256 }

/**
 * More logged cases, with the same kind of source, that were noted without their geometry: it is filled in from the published configurations. The weights of
 * the Gemma row are of the same log as its row among the others.
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
