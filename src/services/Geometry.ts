/**
 * The properties of a model that decide how much memory it takes. All sizes are bytes, as plain numbers; all lengths of
 * contexts are tokens.
 *
 * @since 0.1.0
 */

/**
 * Layers with windowed attention: they look back only `size` tokens, so they keep about that many in the cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface SlidingWindow {
  /** In tokens. */
  readonly size: number
  /** For each layer, whether it is windowed. */
  readonly layers: ReadonlyArray<boolean>
  /** Elements of a key in these layers; as in the other layers when absent. */
  readonly keyLength?: number | undefined
  /** Elements of a value in these layers; as in the other layers when absent. */
  readonly valueLength?: number | undefined
}

/**
 * The geometry of a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Geometry {
  /** The prefix of the keys of `model_info`: `llama`, `qwen3`. */
  readonly architecture: string
  readonly layers: number
  /** Elements of the state of a token between layers. */
  readonly embeddingLength: number
  /** Attention heads: the largest number of all layers, 0 if there is no attention. */
  readonly heads: number
  /** Heads that keep keys and values: one number for all layers, or one for each. 0 means that a layer keeps none. */
  readonly kvHeads: number | ReadonlyArray<number>
  /** Elements of a key, for each head. */
  readonly keyLength: number
  /** Elements of a value, for each head. */
  readonly valueLength: number
  /** How many of the last layers keep nothing, because they read the cache of earlier layers. */
  readonly sharedKvLayers: number
  /** Tokens in its vocabulary; an upper bound where the backend does not report it. */
  readonly vocabulary: number
  /** Tokens of the longest context that it can be loaded with. */
  readonly contextTrained: number | undefined
  readonly window: SlidingWindow | undefined
  /** With multi-head latent attention: elements of the one compressed row that a token keeps in each layer. */
  readonly latentLength: number | undefined
  /**
   * Layers with a state of fixed size (Mamba, gated delta nets, RWKV, short convolutions), and the elements of that
   * state, of 4 bytes each, for one sequence and layer.
   */
  readonly recurrent: { readonly layers: number; readonly elements: number } | undefined
  /** Elements of the feed-forward layer. */
  readonly feedForward: number | undefined
  /** With a mixture of experts: how many are used for a token, and the elements of the feed-forward layer of each. */
  readonly experts: { readonly used: number; readonly feedForward: number } | undefined
  /** Whether it makes embeddings. Ollama then runs one sequence at a time, with a larger batch. */
  readonly embedder: boolean
  /**
   * Whether it is an encoder like BERT: its attention covers the whole batch in both directions, and it has no logits.
   */
  readonly encoder: boolean
  /** Whether it has a projector for images or sound, which has a compute graph of its own. */
  readonly projector: boolean
  /** Whether it runs with a draft model, whose memory Ollama does not report. */
  readonly draft: boolean
  /** `num_batch` of its Modelfile, in tokens. */
  readonly batch: number | undefined
  /**
   * Bytes of the weights that stay in system memory (the token embedding), known only from the list of tensors.
   * `tied` bytes of them are on the GPU as well, because the output layer is the same tensor.
   */
  readonly inputWeights: { readonly bytes: number; readonly tied: number } | undefined
  /**
   * Whether nothing was missing and the formulas are known to hold for this architecture. If not, the margin is 25 %
   * instead of 3 %.
   */
  readonly exact: boolean
}
