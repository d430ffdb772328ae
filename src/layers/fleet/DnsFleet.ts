/**
 * The fleet behind one DNS name: a Kubernetes headless service, or any name with several addresses.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer } from "effect"
import { lookup } from "node:dns/promises"
import { type Backend, Fleet, FleetError, InvalidFleet } from "../../services/Fleet.ts"
import { every } from "../../support/every.ts"
import * as Outage from "../../support/outage.ts"
import type { Defaults } from "./file.ts"
import * as Members from "./members.ts"

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
  /** Finds the addresses behind a name. Defaults to the system's resolver. */
  readonly resolve?: ((name: string) => Promise<ReadonlyArray<string>>) | undefined
}

const system = async (name: string): Promise<ReadonlyArray<string>> =>
  (await lookup(name, { all: true })).map(({ address }) => address)

const make = Effect.fnUntraced(function* (options: Options) {
  const { name, port = 11434, resolve = system } = options
  const origin = (address: string): string => `http://${address.includes(":") ? `[${address}]` : address}:${port}`
  const found: Effect.Effect<ReadonlyArray<Backend>, FleetError> = Effect.tryPromise({
    // Sorted, since resolvers return the same addresses in changing order.
    try: async () => [...new Set(await resolve(name))].sort(),
    catch: (error) =>
      new FleetError({ reason: new InvalidFleet({ description: `${name} does not resolve: ${String(error)}` }) }),
  }).pipe(
    Effect.flatMap((addresses) =>
      Members.checked(addresses.map((address) => ({ ...options.backend, url: origin(address) })))
    ),
  )
  const { fleet, replace } = yield* Effect.flatMap(found, Members.make)
  const outage = Outage.make()
  const look = Effect.flatMap(found, replace).pipe(
    Effect.flatMap((changed) => {
      const log = Effect.logInfo(`fleet: ${fleet.members().length} backends behind ${name}`)
      return outage.lasts() ? outage.ends(log) : changed ? log : Effect.void
    }),
    // One message for all ways to fail: a resolver that is down gives several in turn.
    Effect.catch(({ message }) => outage.begins("", Effect.logWarning(`fleet unchanged: ${message}`))),
  )
  yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options.interval ?? "5 seconds"), look))
  return fleet
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
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Fleet, FleetError> => Layer.effect(Fleet, make(options))
