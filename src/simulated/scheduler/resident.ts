/**
 * What a simulated server tells of a model in its memory.
 *
 * @since 0.1.0
 */
import type { Runner } from "./runner.ts"

/**
 * A model in a simulated server's memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resident {
  /** The name under which it was loaded. */
  readonly name: string
  readonly blob: string
  readonly size: number
  readonly vram: number
  readonly context: number
  readonly parallelism: number
  /** Requests that hold it. */
  readonly refs: number
  /** Requests that it generates for now. */
  readonly active: number
  /** Requests waiting for a slot. */
  readonly waiting: number
  /** Milliseconds; `Infinity` for ever. */
  readonly keepAlive: number
}

/** @category conversions @since 0.1.0 */
export const residentOf = (runner: Runner): Resident => ({
  name: runner.model.name,
  blob: runner.model.blob,
  size: runner.allocation.size,
  vram: runner.allocation.vram,
  context: runner.options.numCtx,
  parallelism: runner.parallelism,
  refs: runner.refs,
  active: runner.active,
  waiting: runner.slots.waiting,
  keepAlive: runner.session,
})
