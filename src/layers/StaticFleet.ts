/**
 * The fleet that a deployer wrote down: it changes only by an operator's hand.
 *
 * @since 0.1.0
 */
import { Effect, Layer, SubscriptionRef } from "effect"
import {
  type Backend,
  backend,
  type BackendInput,
  Fleet,
  FleetError,
  InvalidFleet,
  type Member,
  type MemberState,
  UnknownBackend,
} from "../services/Fleet.ts"

const invalid = (description: string): FleetError => new FleetError({ reason: new InvalidFleet({ description }) })

/** Two names for one server would count its slots and its memory twice, so a URL may not be repeated either. */
const duplicate = (backends: ReadonlyArray<Backend>): string | undefined => {
  const ids = new Set<string>()
  const urls = new Map<string, string>()
  for (const { id, url } of backends) {
    if (ids.has(id)) return `two backends are called ${JSON.stringify(id)}`
    const other = urls.get(url)
    if (other !== undefined) return `${JSON.stringify(other)} and ${JSON.stringify(id)} have the same URL ${url}`
    ids.add(id)
    urls.set(url, id)
  }
  return undefined
}

const make = Effect.fnUntraced(function* (inputs: ReadonlyArray<BackendInput>) {
  const backends = yield* Effect.try({
    try: () => inputs.map((input) => backend(input)),
    catch: (error) => invalid(error instanceof Error ? error.message : String(error)),
  })
  if (backends.length === 0) return yield* invalid("a fleet needs at least one backend")
  const twice = duplicate(backends)
  if (twice !== undefined) return yield* invalid(twice)

  const ref = yield* SubscriptionRef.make<ReadonlyArray<Member>>(
    backends.map((backend): Member => ({ backend, state: "active" })),
  )

  const setState = Effect.fn("Fleet.setState")(function* (id: string, state: MemberState) {
    const known = yield* SubscriptionRef.modify(ref, (members): readonly [boolean, ReadonlyArray<Member>] => {
      const member = members.find(({ backend }) => backend.id === id)
      if (member === undefined || member.state === state) return [member !== undefined, members]
      return [true, members.map((other) => other === member ? { backend: member.backend, state } : other)]
    })
    if (!known) return yield* new FleetError({ reason: new UnknownBackend({ id }) })
  })

  return Fleet.of({
    members: () => SubscriptionRef.getUnsafe(ref),
    changes: SubscriptionRef.changes(ref),
    setState,
  })
})

/**
 * A fleet of fixed backends, every one `active` at first.
 *
 * **Details**
 *
 * Fails with `FleetError` (`InvalidFleet`) when there is no backend, when two have one id or one URL, and when an input is not a backend at all, since
 * the list often comes from an environment variable.
 *
 * **Example** (Two servers, one of them with a name and more slots)
 *
 * ```ts
 * import * as StaticFleet from "./StaticFleet.ts"
 *
 * export const fleet = StaticFleet.layer([
 *   "http://10.0.0.4:11434",
 *   { url: "http://10.0.0.5:11434", id: "big", parallelism: 4 }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (inputs: ReadonlyArray<BackendInput>): Layer.Layer<Fleet, FleetError> =>
  Layer.effect(Fleet, make(inputs))
