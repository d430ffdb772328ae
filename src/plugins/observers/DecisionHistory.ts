/**
 * What became of the last requests, each with everything that happened on its way.
 *
 * @since 0.1.0
 */
import type { Observer } from "../../services/Plugin.ts"
import type { RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"

/** Something that happened to one request before it was settled. @category models @since 0.1.0 */
export type Step = Exclude<Extract<RouterEvent, { readonly id: string }>, RequestSettled>

/** One request's story. Bodies and keys are in none of it. @category models @since 0.1.0 */
export interface Decision {
  readonly settled: RequestSettled
  /** Failed attempts, hedges, what a shadow would have done; in order. */
  readonly steps: ReadonlyArray<Step>
}

/** What it remembers. @category models @since 0.1.0 */
export interface Memory {
  /** The last ones, newest first. */
  readonly recent: (limit: number) => ReadonlyArray<Decision>
  /** By `X-Request-Id`; the newest where clients use one twice. */
  readonly find: (id: string) => Decision | undefined
}

const isStep = (event: RouterEvent): event is Step => "id" in event && event._tag !== "RequestSettled"

/**
 * Remembers the last requests. Under more load than observers are shown events of, some are missing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** How many requests are remembered. Defaults to `1000`. */
  readonly size?: number | undefined
}): { readonly observer: Observer } & Memory => {
  const size = options?.size ?? 1000
  if (!Number.isInteger(size) || size < 1) {
    throw new RangeError(`DecisionHistory: size must be a whole number of at least 1, got ${size}`)
  }
  /** A ring: `next` is where the oldest one stands. */
  const ring: Array<Decision | undefined> = Array.from({ length: size })
  let next = 0
  /** Of requests under way to which something has happened. Bounded: a settled record may be missed. */
  const open = new Map<string, Array<Step>>()

  const add = (step: Step): void => {
    const steps = open.get(step.id)
    if (steps !== undefined) return void steps.push(step)
    const [oldest] = open.keys()
    if (oldest !== undefined && open.size >= size) open.delete(oldest)
    open.set(step.id, [step])
  }
  const settle = (settled: RequestSettled): void => {
    const steps = open.get(settled.id) ?? []
    if (steps.length > 0) open.delete(settled.id)
    ring[next] = { settled, steps }
    next = (next + 1) % size
  }
  /** So many places back from the newest. */
  const back = (places: number): Decision | undefined => ring[(next - 1 - places + 2 * size) % size]

  const recent = (limit: number): ReadonlyArray<Decision> => {
    const found: Array<Decision> = []
    for (let places = 0; places < Math.min(limit, size); places++) {
      const decision = back(places)
      if (decision === undefined) break
      found.push(decision)
    }
    return found
  }

  return {
    observer: {
      kind: "observer",
      name: "decision-history",
      observe: (event) => {
        if (event._tag === "RequestSettled") settle(event)
        else if (isStep(event)) add(event)
        return undefined
      },
    },
    recent,
    find: (id) => recent(size).find(({ settled }) => settled.id === id),
  }
}
