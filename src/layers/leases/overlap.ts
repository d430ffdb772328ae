/**
 * How many answers a server worked on at the same time, from when each of them began and ended.
 *
 * @since 0.1.0
 */

/** Answers that are remembered. An overlap of more answers than this is not seen. */
export const overlapMax = 64

/** Milliseconds for which two answers must run side by side, so that one that follows another does not count. */
const marginMillis = 5

/**
 * The last answers of one model on one backend. Two answers that a server works on at the same time have two slots, so
 * the largest overlap is a number of slots that the server surely has.
 *
 * @category models
 * @since 0.1.0
 */
export class Overlap {
  private readonly begun: Array<number> = []
  private readonly ended: Array<number> = []
  /** Answers that ran when the one at this place began, itself included. */
  private readonly beside: Array<number> = []
  private next = 0
  /** The largest overlap since `clear`. */
  most = 0

  /** Adds an answer that has ended. The work costs one pass over the remembered answers. */
  add(begun: number, ended: number): void {
    const end = ended - marginMillis
    if (end <= begun) return
    let beside = 1
    for (let i = 0; i < this.begun.length; i++) {
      const other = this.begun[i]!
      if (begun <= other && other < end) this.most = Math.max(this.most, ++this.beside[i]!)
      else if (other <= begun && begun < this.ended[i]!) beside++
    }
    this.most = Math.max(this.most, beside)
    this.begun[this.next] = begun
    this.ended[this.next] = end
    this.beside[this.next] = beside
    this.next = (this.next + 1) % overlapMax
  }

  clear(): void {
    this.begun.length =
      this.ended.length =
      this.beside.length =
      this.next =
      this.most =
        0
  }
}
