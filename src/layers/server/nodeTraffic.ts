/**
 * The requests that a `node:http` server is answering.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { Bag } from "../../support/bag.ts"
import type { NodeExchange } from "./nodeExchange.ts"

/**
 * A client counts as stalled when it has read nothing between so many checks in a row.
 *
 * @internal
 */
export const checksUntilStalled = 4

/** @internal */
export class NodeTraffic {
  /** Inference requests. */
  readonly active: Bag<NodeExchange> = new Bag()
  /** Number of all other requests. */
  others = 0
  draining = false
  private onIdle: (() => void) | undefined = undefined

  /** Waits until there are no requests. */
  readonly idle: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.onIdle = () => resume(Effect.void)
    this.ended()
  })

  /** Call it when a request has ended. */
  ended(): void {
    if (this.active.size === 0 && this.others === 0) this.onIdle?.()
  }

  /** Bytes of answers that clients have not taken yet. */
  buffered(): number {
    return this.active.snapshot().reduce((sum, { response }) => sum + response.writableLength, 0)
  }

  cutAll(): void {
    for (const exchange of this.active.snapshot()) exchange.cut()
  }

  /** Call it `checksUntilStalled` times in each stall timeout. */
  cutStalled(): void {
    for (const exchange of this.active.snapshot()) if (exchange.isStuck(checksUntilStalled)) exchange.cut()
  }

  /** Cuts the answers with the most buffered bytes, until no more than `bytesMax` are buffered. */
  cutLargest(bytesMax: number): void {
    let over = this.buffered() - bytesMax
    if (over <= 0) return
    const largest = this.active.snapshot().toSorted((a, b) => b.response.writableLength - a.response.writableLength)
    for (const exchange of largest) {
      if (over <= 0) return
      over -= exchange.response.writableLength
      exchange.cut()
    }
  }
}
