/**
 * Sizes of tensors, from the list in `/api/show` with `verbose`.
 *
 * @since 0.1.0
 */

/** One tensor of `/api/show`. @category models @since 0.1.0 */
export interface Tensor {
  readonly name: string
  /** `F16`, `Q4_K`. */
  readonly type: string
  readonly shape: ReadonlyArray<number>
}

/** The bytes and the elements of one block: the layouts of ggml. */
const blocks: ReadonlyMap<string, readonly [bytes: number, elements: number]> = new Map([
  ["F64", [8, 1]],
  ["F32", [4, 1]],
  ["F16", [2, 1]],
  ["BF16", [2, 1]],
  ["Q4_0", [18, 32]],
  ["Q4_1", [20, 32]],
  ["Q5_0", [22, 32]],
  ["Q5_1", [24, 32]],
  ["Q8_0", [34, 32]],
  ["IQ4_NL", [18, 32]],
  ["MXFP4", [17, 32]],
  ["Q2_K", [84, 256]],
  ["Q3_K", [110, 256]],
  ["Q4_K", [144, 256]],
  ["Q5_K", [176, 256]],
  ["Q6_K", [210, 256]],
  ["IQ1_S", [50, 256]],
  ["IQ1_M", [56, 256]],
  ["IQ2_XXS", [66, 256]],
  ["IQ2_XS", [74, 256]],
  ["IQ2_S", [82, 256]],
  ["IQ3_XXS", [98, 256]],
  ["IQ3_S", [110, 256]],
  ["IQ4_XS", [136, 256]],
])

/** Bytes of a tensor; `undefined` if its type is not in the table. @category accessors @since 0.1.0 */
export const tensorBytes = ({ shape, type }: Tensor): number | undefined => {
  const block = blocks.get(type.toUpperCase())
  if (block === undefined) return undefined
  return shape.reduce((product, length) => product * length, 1) / block[1] * block[0]
}

/**
 * Weights that llama.cpp always keeps in system memory: the token embedding, and the embeddings for each layer in
 * models like Gemma 3n. Without an output tensor, the token embedding is copied to the GPU to serve as one (`tied`).
 *
 * @category accessors
 * @since 0.1.0
 */
export const inputWeights = (
  tensors: ReadonlyArray<Tensor>,
): { readonly bytes: number; readonly tied: number } | undefined => {
  const bytesOf = (name: string): number | undefined => {
    const tensor = tensors.find((each) => each.name === name)
    return tensor === undefined ? 0 : tensorBytes(tensor)
  }
  const token = bytesOf("token_embd.weight")
  const perLayer = bytesOf("per_layer_token_embd.weight")
  if (token === undefined || perLayer === undefined || token === 0) return undefined
  const tied = tensors.some(({ name }) => name === "output.weight") ? 0 : token
  return { bytes: token + perLayer, tied }
}
