/** The state of the router as the page holds it, and what in it an operator should look at. */
import type { BackendState, DeviceState, State } from "../src/layers/routes/AdminApi.ts"
import { count } from "./format.ts"

export { changed, condition, ordered, urgency } from "../src/command/state/state.ts"
export type { Change } from "../src/command/state/state.ts"
export type { BackendState, DeviceState, State }
export type Resident = BackendState["models"][number]

/** The breakers of models that are not closed, by backend. */
export const brokenModels = ({ breakers }: Pick<State, "breakers">): ReadonlyMap<string, ReadonlyArray<string>> => {
  const broken = new Map<string, Array<string>>()
  for (const { backend, model, state } of breakers) {
    if (model === null || state === "closed") continue
    broken.set(backend, [...broken.get(backend) ?? [], model])
  }
  return broken
}

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
