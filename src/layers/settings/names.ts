/**
 * Names of environment variables: which ones are meant for llamero, and which setting a misspelt one was meant for.
 *
 * @since 0.1.0
 */
import { distance } from "../../support/nearest.ts"
import * as Parse from "./parse.ts"

const prefix = "LLAMERO_"

/** An environment. @internal */
export type Env = Readonly<Record<string, string | undefined>>

/** The way people write a name that a shell or an orchestrator would not take. */
const plain = (name: string): string => name.trim().toUpperCase().replaceAll(/[-.\s]/g, "_")

const rest = (name: string): string => name.startsWith(prefix) ? name.slice(prefix.length) : name

/** How unlike two names are: the share of letters to change, less a quarter for each word that both have. */
const unlike = (given: string, known: string): number => {
  const words = new Set(known.split("_"))
  const shared = given.split("_").filter((word) => word !== "" && words.has(word)).length
  return distance(given, known) / Math.max(given.length, known.length, 1) - shared / 4
}

/** The name that is most like a given one; `undefined` where none is like it. @internal */
export const nearest = (given: string, known: Iterable<string>): string | undefined => {
  const wanted = rest(plain(given))
  const rated = Array.from(known, (name) => ({ name, cost: unlike(wanted, rest(name)) }))
  const best = rated.reduce((a, b) => b.cost < a.cost ? b : a, { name: "", cost: Infinity })
  return best.cost <= 0.5 ? best.name : undefined
}

/** Whether a name begins with `LLAMERO_`, in any case, or is a setting whose `LLAMERO` has up to two mistakes. */
const isOurs = (name: string, known: ReadonlySet<string>): boolean => {
  const given = plain(name)
  const end = given.indexOf("_")
  if (given.startsWith(prefix)) return true
  return end > 0 && distance(given.slice(0, end), "LLAMERO") <= 2 && known.has(prefix + given.slice(end + 1))
}

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern

/**
 * The environment without the variables that Kubernetes and Docker set for services whose names begin with `llamero`.
 * One of them is `LLAMERO_PORT=tcp://10.0.0.1:11435`, for a service `llamero`.
 *
 * @internal
 */
export const withoutServiceLinks = (env: Env): Env => {
  const services = Object.keys(env).flatMap((name) => /^(LLAMERO(?:_\w+)?)_SERVICE_HOST$/.exec(name)?.[1] ?? [])
  const isLink = (name: string, value: string | undefined): boolean =>
    services.some((service) => {
      if (!name.startsWith(`${service}_`)) return false
      const end = name.slice(service.length)
      return /^_SERVICE_(HOST|PORT(_\w+)?)$|^_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(end) ||
        (end === "_PORT" && /^\w+:\/\//.test(value ?? ""))
    })
  return services.length === 0
    ? env
    : Object.fromEntries(Object.entries(env).filter(([name, value]) => !isLink(name, value)))
}

/**
 * Names in an environment that are meant for llamero and are no settings, except those of other programs: `ignored` has
 * names, or beginnings with a `*` behind.
 *
 * @internal
 */
export const unknown = (
  names: Iterable<string>,
  known: ReadonlySet<string>,
  ignored: string | undefined,
): ReadonlyArray<string> => {
  const patterns = Parse.list(ignored ?? "")
  return Array.from(names)
    .filter((name) => isOurs(name, known) && !known.has(name) && !patterns.some((pattern) => matches(pattern, name)))
    .sort()
}

/** The flag of a variable: `--queue-capacity` for `LLAMERO_QUEUE_CAPACITY`, without its two hyphens. @internal */
export const flagOf = (name: string): string => rest(name).toLowerCase().replaceAll("_", "-")

/** The key of a variable in a file: `queueCapacity` for `LLAMERO_QUEUE_CAPACITY`. @internal */
export const keyOf = (name: string): string =>
  rest(name).toLowerCase().replaceAll(/_([a-z\d])/g, (_, letter: string) => letter.toUpperCase())

/** A key of a file, in any style, in the style of variables. @internal */
export const ofKey = (key: string): string => plain(key.replaceAll(/([a-z\d])([A-Z])/g, "$1_$2"))
