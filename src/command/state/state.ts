/**
 * The state of a router as a client holds it, in the terminal and on the status page: how a message of
 * `/admin/events` changes it, how urgent a backend is, and what in it an operator should look at.
 *
 * @since 0.1.0
 */
import type { BackendState, State } from "../../layers/routes/AdminApi.ts"
import { count } from "../format.ts"

/**
 * A `change` of `/admin/events`: whole backends and devices, the ids of those that are gone, and whole lists.
 *
 * @category models
 * @since 0.1.0
 */
export type Change = Partial<State> & { readonly gone?: ReadonlyArray<string> }

const merged = <A>(before: ReadonlyArray<A>, now: ReadonlyArray<A> | undefined, idOf: (one: A) => string) => {
  if (now === undefined) return before
  const byId = new Map(before.map((one) => [idOf(one), one]))
  for (const one of now) byId.set(idOf(one), one)
  return Array.from(byId.values())
}

/** The state after a change. What has not changed stays the same object. @category conversions @since 0.1.0 */
export const changed = (state: State, { backends, devices, gone = [], ...fields }: Change): State => {
  const isGone = new Set(gone)
  const kept = <A>(list: ReadonlyArray<A>, nameOf: (one: A) => string) =>
    list.some((one) => isGone.has(nameOf(one))) ? list.filter((one) => !isGone.has(nameOf(one))) : list
  return {
    ...state,
    ...fields,
    backends: kept(merged(state.backends, backends, ({ id }) => id), ({ id }) => `backends/${id}`),
    devices: kept(merged(state.devices, devices, ({ device }) => device), ({ device }) => `devices/${device}`),
  }
}

const none: ReadonlyArray<string> = []

/**
 * How urgent a backend is: 3 it serves nothing, 2 part of it fails, 1 an operator has taken it out, 0 it is well.
 * `broken`: the models whose breakers are not closed on it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const urgency = ({ breaker, health, member, models }: BackendState, broken = none): number => {
  if (member !== "active") return 1
  if (health === "unhealthy" || breaker === "open" || breaker === "isolated") return 3
  if (breaker === "half-open" || broken.length > 0 || models.some(({ spilled }) => spilled)) return 2
  return 0
}

/**
 * The condition of a backend in a few words. A drain is over when nothing runs on it any more.
 *
 * @category accessors
 * @since 0.1.0
 */
export const condition = ({ breaker, health, member, streams }: BackendState, broken = none): string => {
  if (member === "draining") return streams === 0 ? "drained" : "draining"
  if (member !== "active") return member
  if (health !== "healthy") return health
  if (breaker !== "closed") return `breaker ${breaker}`
  return broken.length === 0 ? "healthy" : `${count(broken.length, "breaker")} tripped`
}

/** The most urgent ones first, else in the order of the fleet. @category accessors @since 0.1.0 */
export const ordered = (
  backends: ReadonlyArray<BackendState>,
  broken: ReadonlyMap<string, ReadonlyArray<string>> = new Map(),
): ReadonlyArray<BackendState> =>
  Array.from(backends).sort((a, b) => urgency(b, broken.get(b.id)) - urgency(a, broken.get(a.id)))

/** One thing that an operator should look at. @category models @since 0.1.0 */
export interface Problem {
  readonly level: "bad" | "warn"
  readonly text: string
}

/** What an operator should look at, the worst first. @category accessors @since 0.1.0 */
export const problems = ({ backends, breakers, devices, prewarm, router }: State): ReadonlyArray<Problem> => {
  const found: Array<Problem> = []
  const add = (level: Problem["level"], text: string) => found.push({ level, text })
  if (router.draining) add("bad", "the router is shutting down and takes no new requests")
  if (backends.length > 0 && !backends.some((one) => one.member === "active" && one.health === "healthy")) {
    add("bad", "no backend is healthy: every request is refused")
  }
  for (const { health, id, member, models, reason } of backends) {
    if (health === "unhealthy") add("bad", `${id} is unhealthy: ${reason}`)
    for (const { model, spilled } of models) if (spilled) add("warn", `${model} on ${id} has spilled to the CPU`)
    if (member !== "active") add("warn", `${id} is ${member} by an operator`)
  }
  for (const { backend, model, state } of breakers) {
    if (state === "closed") continue
    add(
      state === "half-open" ? "warn" : "bad",
      `the breaker of ${model === null ? backend : `${model} on ${backend}`} is ${state}`,
    )
  }
  for (const { device, failure } of devices) {
    if (failure !== "") add("warn", `the memory of ${device} cannot be read: ${failure}`)
  }
  for (const { model, reason, state } of prewarm) {
    if (state === "failed") add("warn", `${model} could not be prewarmed: ${reason}`)
  }
  return found.toSorted((a, b) => Number(b.level === "bad") - Number(a.level === "bad"))
}
