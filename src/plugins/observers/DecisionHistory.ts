/**
 * Remembers the last requests, each with its attempts, hedges and shadow choices.
 *
 * @since 0.1.0
 */
import type { Decisions, Step } from "../../services/Decisions.ts"
import * as Live from "../../services/Live.ts"
import type { Observer } from "../../services/Plugin.ts"
import type { RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"
import { DecisionRing } from "./decisionRing.ts"

const isStep = (event: RouterEvent): event is Step =>
  "id" in event && event._tag !== "RequestSettled" && event._tag !== "RequestRefused"

const noSteps: ReadonlyArray<Step> = []

/** A ring with the last decisions of another one. */
const resized = (before: DecisionRing | undefined, size: number, least: number): DecisionRing => {
  if (!Number.isInteger(size) || size < least) {
    throw new RangeError(`DecisionHistory.make: size must be a whole number of at least ${least}, got ${size}`)
  }
  const ring = new DecisionRing(size)
  for (const { settled, steps } of before?.recent(size).toReversed() ?? []) ring.add(settled, steps)
  return ring
}

/**
 * An observer that remembers the last requests, and the functions that read them. `AdminRoutes` shows them to
 * operators.
 *
 * **Details**
 *
 * Under high load observers are not shown every event, so some requests may be missing. A decision has no `trace`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /**
   * The number of requests that are remembered. Where it changes while the router runs (`Live`), the last ones are
   * kept, and it may be `0`: then nothing is recorded. Defaults to `1000`.
   */
  readonly size?: Live.Input<number> | undefined
}): { readonly observer: Observer } & Decisions => {
  const size = Live.of(options?.size ?? 1000)
  let last: DecisionRing | undefined
  const ring = Live.map(size, (wanted) => last = resized(last, wanted, Live.isLive(options?.size) ? 0 : 1))
  /** The steps of running requests. Bounded, since the last event of a request may not be shown to the observer. */
  const open = new Map<string, Array<Step>>()

  const addStep = (step: Step): void => {
    const steps = open.get(step.id)
    if (steps !== undefined) return void steps.push(step)
    const [oldest] = open.keys()
    if (oldest !== undefined && open.size >= size.now) open.delete(oldest)
    open.set(step.id, [step])
  }
  const settle = (settled: RequestSettled): void => {
    // Most requests have no steps.
    const steps = open.size === 0 ? undefined : open.get(settled.id)
    if (steps !== undefined) open.delete(settled.id)
    ring.now.add(settled, steps ?? noSteps)
  }

  return {
    observer: {
      kind: "observer",
      name: "decision-history",
      observe: (event) => {
        if (event._tag === "RequestSettled") settle(event)
        else if (isStep(event)) addStep(event)
        return undefined
      },
      isOff: () => size.now === 0,
    },
    recent: (limit) => ring.now.recent(limit),
    find: (id) => ring.now.find(id),
  }
}
