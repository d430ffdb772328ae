/**
 * Remembers the last requests, each with its attempts, hedges and shadow choices.
 *
 * @since 0.1.0
 */
import type { Decision, Decisions, Step } from "../../services/Decisions.ts"
import * as Live from "../../services/Live.ts"
import type { Observer } from "../../services/Plugin.ts"
import type { RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"

/** A model that no backend has is named as the client wrote it, and that may be as long as a request body. */
const modelMax = 200

const shortened = (settled: RequestSettled): RequestSettled =>
  settled.model.length <= modelMax
    ? settled
    // Put together anew: a slice would keep the whole string in memory.
    : { ...settled, model: Array.from(settled.model.slice(0, modelMax)).join("") }

const isStep = (event: RouterEvent): event is Step => "id" in event && event._tag !== "RequestSettled"

/** The last `size` decisions. `next` is the place of the oldest one, which the next one replaces. */
const ringOf = (size: number) => {
  const ring: Array<Decision | undefined> = Array.from({ length: size })
  let next = 0
  return {
    add: (decision: Decision): void => {
      ring[next] = decision
      next = (next + 1) % size
    },
    recent: (limit: number): ReadonlyArray<Decision> => {
      const found: Array<Decision> = []
      for (let back = 1; back <= Math.min(limit, size); back++) {
        const decision = ring[(next - back + size) % size]
        if (decision === undefined) break
        found.push(decision)
      }
      return found
    },
  }
}

type Ring = ReturnType<typeof ringOf>

/** A ring with the last decisions of another one. */
const resized = (before: Ring | undefined, size: number, least: number): Ring => {
  if (!Number.isInteger(size) || size < least) {
    throw new RangeError(`DecisionHistory.make: size must be a whole number of at least ${least}, got ${size}`)
  }
  const ring = ringOf(size)
  for (const decision of before?.recent(size).toReversed() ?? []) ring.add(decision)
  return ring
}

/**
 * An observer that remembers the last requests, and the functions that read them. `AdminRoutes` shows them to
 * operators.
 *
 * **Details**
 *
 * Under high load observers are not shown every event, so some requests may be missing.
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
  let last: Ring | undefined
  const ring = Live.map(size, (wanted) => last = resized(last, wanted, Live.isLive(options?.size) ? 0 : 1))
  const recent: Decisions["recent"] = (limit) => ring.now.recent(limit)
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
    const steps = open.get(settled.id) ?? []
    open.delete(settled.id)
    ring.now.add({ settled: shortened(settled), steps })
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
    recent,
    find: (id) => recent(size.now).find(({ settled }) => settled.id === id),
  }
}
