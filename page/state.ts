/** The state of the router as the page holds it, and how a message of `/admin/events` changes it. */
import type { BackendState, DeviceState, State } from "../src/layers/routes/AdminApi.ts"
import { count } from "./format.ts"

export type { BackendState, DeviceState, State }
export type Resident = BackendState["models"][number]

/** A `change` of `/admin/events`: whole backends and devices, the ids of those that are gone, and whole lists. */
export type Change = Partial<State> & { readonly gone?: ReadonlyArray<string> }

const merged = <A>(before: ReadonlyArray<A>, now: ReadonlyArray<A> | undefined, idOf: (one: A) => string) => {
  if (now === undefined) return before
  const byId = new Map(before.map((one) => [idOf(one), one]))
  for (const one of now) byId.set(idOf(one), one)
  return Array.from(byId.values())
}

/** The state after a change. What has not changed stays the same object. */
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

/** The breakers of models that are not closed, by backend. */
export const brokenModels = ({ breakers }: Pick<State, "breakers">): ReadonlyMap<string, ReadonlyArray<string>> => {
  const broken = new Map<string, Array<string>>()
  for (const { backend, model, state } of breakers) {
    if (model === null || state === "closed") continue
    broken.set(backend, [...broken.get(backend) ?? [], model])
  }
  return broken
}

const none: ReadonlyArray<string> = []

/**
 * How urgent a backend is: 3 it serves nothing, 2 part of it fails, 1 an operator has taken it out, 0 it is well.
 * `broken`: the models whose breakers are not closed on it.
 */
export const urgency = ({ breaker, health, member, models }: BackendState, broken = none): number => {
  if (member !== "active") return 1
  if (health === "unhealthy" || breaker === "open" || breaker === "isolated") return 3
  if (breaker === "half-open" || broken.length > 0 || models.some(({ spilled }) => spilled)) return 2
  return 0
}

/** The condition of a backend in a few words. A drain is over when nothing runs on it any more. */
export const condition = ({ breaker, health, member, streams }: BackendState, broken = none): string => {
  if (member === "draining") return streams === 0 ? "drained" : "draining"
  if (member !== "active") return member
  if (health !== "healthy") return health
  if (breaker !== "closed") return `breaker ${breaker}`
  return broken.length === 0 ? "healthy" : `${count(broken.length, "breaker")} tripped`
}

/** The most urgent ones first, else in the order of the fleet. */
export const ordered = (
  backends: ReadonlyArray<BackendState>,
  broken: ReadonlyMap<string, ReadonlyArray<string>> = new Map(),
): ReadonlyArray<BackendState> =>
  backends.map((one, index) => ({ one, index, urgent: urgency(one, broken.get(one.id)) }))
    .sort((a, b) => b.urgent - a.urgent || a.index - b.index).map(({ one }) => one)

/** What has come of a drain or an isolation, for operators. */
export const outOfService = ({ member, streams }: BackendState): string => {
  const left = streams === 0 ? "nothing runs on it any more" : `${count(streams, "request")} under way`
  if (member === "isolated") return `is isolated by an operator: ${left}`
  return streams === 0 ? "is drained by an operator: it can be stopped" : `is draining by an operator: ${left}`
}

/** One thing that an operator should look at. */
export interface Problem {
  readonly key: string
  readonly level: "bad" | "warn"
  readonly text: string
  readonly backend?: string
}

/** What an operator should look at, the worst first. */
export const problems = ({ backends, breakers, devices, plans, prewarm, router }: State): ReadonlyArray<Problem> => {
  const found: Array<Problem> = []
  const add = (level: Problem["level"], key: string, text: string, backend?: string) =>
    found.push({ level, key, text, ...(backend === undefined ? {} : { backend }) })
  if (router.draining) add("bad", "draining", "The router is shutting down and takes no new requests")
  if (backends.length > 0 && !backends.some((one) => one.member === "active" && one.health === "healthy")) {
    add("bad", "none", "No backend is healthy: every request is refused")
  }
  for (const one of backends) {
    if (one.health === "unhealthy") add("bad", `h/${one.id}`, `${one.id} is unhealthy: ${one.reason}`, one.id)
    for (const { model, spilled } of one.models) {
      if (spilled) add("warn", `s/${one.id}/${model}`, `${model} on ${one.id} has spilled to the CPU`, one.id)
    }
    if (one.member !== "active") add("warn", `m/${one.id}`, `${one.id} ${outOfService(one)}`, one.id)
  }
  for (const { backend, model, state } of breakers) {
    if (state === "closed") continue
    const of = model === null ? backend : `${model} on ${backend}`
    add(state === "half-open" ? "warn" : "bad", `b/${backend}/${model}`, `The breaker of ${of} is ${state}`, backend)
  }
  for (const { device, failure } of devices) {
    if (failure !== "") add("warn", `d/${device}`, `The memory of ${device} cannot be read: ${failure}`)
  }
  for (const { model, reason, state } of prewarm) {
    if (state === "failed" && model !== "") add("warn", `p/${model}`, `${model} could not be prewarmed: ${reason}`)
  }
  for (const { failure, plan } of plans) {
    if (failure !== "") add("warn", `plan/${plan}`, `The prewarm plan ${plan} fails: ${failure}`)
  }
  return found.sort((a, b) => Number(b.level === "bad") - Number(a.level === "bad"))
}
