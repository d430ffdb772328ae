/**
 * The fleet behind one DNS name: a Kubernetes headless service, or any name with several addresses.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer } from "effect"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import { type Backend, Fleet, FleetError, InvalidFleet } from "../../services/Fleet.ts"
import { every } from "../../support/every.ts"
import * as Outage from "../../support/outage.ts"
import type { Defaults } from "./file.ts"
import * as Members from "./members.ts"

/** A choice of addresses. @category models @since 0.1.0 */
export type Family = "IPv4 first" | "IPv6 first" | "IPv4" | "IPv6" | "both"

/** @category models @since 0.1.0 */
export interface Options {
  /** The DNS name, such as `ollama.default.svc.cluster.local`. */
  readonly name: string
  /** The port of every backend. Defaults to `11434`. */
  readonly port?: number | undefined
  /** Fields that all backends have in common. Defaults to the defaults of `Backend`. */
  readonly backend?: Defaults | undefined
  /** Time between two look-ups. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /**
   * Which addresses are backends, where a name has addresses of both families: those of one family, or `both`, where
   * the two families are not of the same servers. Defaults to `IPv4 first`: IPv4 where the name has such addresses,
   * else IPv6.
   */
  readonly family?: Family | undefined
  /** Finds the addresses behind a name. Defaults to the system's resolver. */
  readonly resolve?: ((name: string) => Promise<ReadonlyArray<string>>) | undefined
}

const system = async (name: string): Promise<ReadonlyArray<string>> =>
  (await lookup(name, { all: true })).map(({ address }) => address)

/** How many looks in a row must find the other family before the fleet changes to it. */
const looksMax = 3

/**
 * Chooses addresses of one family, and stays with it: a resolver that loses the answer to one of its two questions for
 * a moment must not replace the whole fleet.
 */
const chooser = (wanted: Family) => {
  if (wanted === "both") return (addresses: ReadonlyArray<string>) => addresses
  const [first, second] = wanted.startsWith("IPv4") ? [4, 6] : [6, 4]
  let chosen: number | undefined
  let missed = 0
  return (addresses: ReadonlyArray<string>): ReadonlyArray<string> => {
    const of = (family: number) => addresses.filter((address) => isIP(address) === family)
    if (!wanted.endsWith("first")) return of(first)
    chosen ??= of(first).length > 0 ? first : second
    missed = of(chosen).length > 0 ? 0 : missed + 1
    if (missed >= looksMax) {
      chosen = chosen === first ? second : first
      missed = 0
    }
    return of(chosen)
  }
}

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

const make = Effect.fnUntraced(function* (options: Options) {
  const { family = "IPv4 first", name, port = 11434, resolve = system } = options
  const choose = chooser(family)
  // An address can be written in several ways; the URL has one of them. One with a zone (`fe80::1%eth0`) has no URL.
  const origin = (address: string): string | undefined => {
    const url = `http://${address.includes(":") ? `[${address}]` : address}:${port}`
    return URL.canParse(url) ? new URL(url).origin : undefined
  }
  const found: Effect.Effect<ReadonlyArray<Backend>, FleetError> = Effect.tryPromise({
    // Sorted, since resolvers return the same addresses in changing order.
    try: async () => {
      const addresses = (await resolve(name)).map((address) => mapped.exec(address)?.[1] ?? address)
      return [...new Set(choose(addresses).map(origin).filter((url) => url !== undefined))].sort()
    },
    catch: (error) =>
      new FleetError({ reason: new InvalidFleet({ description: `${name} does not resolve: ${String(error)}` }) }),
  }).pipe(
    Effect.filterOrFail((urls) => urls.length > 0, () => Members.invalid(`${name} has no address (${family})`)),
    Effect.flatMap((urls) => Members.checked(urls.map((url) => ({ ...options.backend, url })))),
  )
  const { fleet, replace } = yield* Effect.flatMap(found, Members.make)
  const outage = Outage.make()
  const look = Effect.flatMap(found, replace).pipe(
    Effect.flatMap((changed) => {
      const log = Effect.logInfo(`fleet: ${fleet.members().length} backends behind ${name}`)
      return Effect.as(outage.lasts() ? outage.ends(log) : changed ? log : Effect.void, changed)
    }),
    // One message for all ways to fail: a resolver that is down gives several in turn.
    Effect.tapError(({ message }) => outage.begins("", Effect.logWarning(`fleet unchanged: ${message}`))),
  )
  yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options.interval ?? "5 seconds"), Effect.ignore(look)))
  return Fleet.of({ ...fleet, reload: look })
})

/**
 * One backend for each address behind a name. Its id is the address and the port.
 *
 * **Details**
 *
 * A look-up that fails or finds no address changes nothing, since a resolver that is down must not empty the fleet;
 * `BackendHealth` says which backends are alive. A backend whose address is gone gets no new requests. When the layer
 * is built, a name that does not resolve is a `FleetError`.
 *
 * A server with an IPv4 and an IPv6 address is one backend: only the addresses of one family count (`family`). If the
 * name has no more addresses of that family, the fleet changes to the other one after three looks.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Fleet, FleetError> => Layer.effect(Fleet, make(options))
