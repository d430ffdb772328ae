/**
 * How many embedding texts pay in one call.
 *
 * @since 0.1.0
 */

/** Models that are remembered. The one that was learned of longest ago is forgotten first. */
const modelsMax = 256
/** The weight of all calls before the newest one. */
const keep = 0.9
/** The part of a call's time that may be spent besides the texts. */
const overheadPart = 0.1
/** Below this spread of their sizes, calls do not say what one text more takes. */
const spreadMin = 0.1

/** Weighted sums over the calls of one model: `n` texts took `d` milliseconds. */
interface Sums {
  calls: number
  n: number
  d: number
  nn: number
  nd: number
}

/**
 * Learns from calls what a call takes besides its texts, and what each text takes: a straight line through their times.
 *
 * **Details**
 *
 * Ollama runs the texts of a call one after the other (one sequence of an embedder at a time). A larger call then saves
 * only what a call takes besides its texts, and keeps the texts from other backends that are idle. So a call gets so
 * many texts that a tenth of its time is spent besides them. Where texts cost next to nothing, because a backend runs
 * them side by side, a call gets as many as it may have.
 *
 * @internal
 */
export class BatchSizes {
  private readonly most: number
  private readonly models = new Map<string, Sums>()

  constructor(most: number) {
    this.most = most
  }

  /** Texts for the next call of a model. As many as a call may have while nothing is known. */
  of(model: string): number {
    const sums = this.models.get(model)
    if (sums === undefined) return this.most
    const { calls, d, n, nd, nn } = sums
    const spread = calls * nn - n * n
    if (spread < spreadMin * n * n) return this.most
    const text = (calls * nd - n * d) / spread
    const besides = Math.max(0, (d - text * n) / calls)
    if (text <= 0) return this.most
    return Math.max(1, Math.min(this.most, Math.ceil((1 / overheadPart - 1) * besides / text)))
  }

  /** A call of so many texts took so many milliseconds. */
  learn(model: string, texts: number, millis: number): void {
    const sums = this.models.get(model) ?? { calls: 0, n: 0, d: 0, nn: 0, nd: 0 }
    sums.calls = keep * sums.calls + 1
    sums.n = keep * sums.n + texts
    sums.d = keep * sums.d + millis
    sums.nn = keep * sums.nn + texts * texts
    sums.nd = keep * sums.nd + texts * millis
    this.models.delete(model)
    this.models.set(model, sums)
    if (this.models.size > modelsMax) this.models.delete(this.models.keys().next().value!)
  }
}
