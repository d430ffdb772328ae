/**
 * The members of a fleet: a set of backends that is replaced as a whole, with the states that operators gave them.
 *
 * @since 0.1.0
 */
import { Effect, Redacted, Stream, SubscriptionRef } from "effect"
import * as Access from "../../services/BackendAccess.ts"
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
} from "../../services/Fleet.ts"
import { problem } from "../../services/ModelName.ts"

/** @internal */
export const invalid = (description: string): FleetError =>
  new FleetError({ reason: new InvalidFleet({ description }) })

/** Why backends clash. A URL may not be repeated either: the slots and memory of one server would count twice. */
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

/** Why a name among the models of a backend is none that Ollama can read. */
const unreadable = ({ id, models = [] }: Backend): string | undefined => {
  const wrong = models.find((name) => problem(name) !== undefined)
  return wrong === undefined
    ? undefined
    : `models of ${JSON.stringify(id)} has ${JSON.stringify(wrong)}: ${problem(wrong)}`
}

/** The backends of a list of inputs, or the error that says why it is not a valid fleet. @internal */
export const checked = Effect.fnUntraced(function* (
  inputs: ReadonlyArray<BackendInput>,
): Effect.fn.Return<ReadonlyArray<Backend>, FleetError> {
  const backends = yield* Effect.try({
    try: () => inputs.map((input) => backend(input)),
    catch: (error) => invalid(error instanceof Error ? error.message : String(error)),
  })
  if (backends.length === 0) return yield* invalid("a fleet needs at least one backend")
  const why = duplicate(backends) ?? backends.map(unreadable).find((why) => why !== undefined)
  if (why !== undefined) return yield* invalid(why)
  return backends
})

const same = (one: Backend, other: Backend): boolean =>
  JSON.stringify(one) === JSON.stringify(other) && Access.isSame(one.access, other.access)

/**
 * The new backend of a member, with the old object of what it asks for where there is one. That object gets the new
 * values: whoever holds the backend then sends the new token, without being started again.
 */
const renewed = (old: Backend, backend: Backend): Backend => {
  if (old.access === undefined || backend.access === undefined || old.url !== backend.url) return backend
  if (!Access.isSame(old.access, backend.access)) {
    Redacted.value(old.access).replace(Redacted.value(backend.access))
  }
  return { ...backend, access: old.access }
}

/**
 * The fleet, and the function that replaces its backends.
 *
 * A backend that stays keeps its state, and keeps its object when none of its fields has changed. A backend that goes
 * gets no new requests and finishes those it has.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (backends: ReadonlyArray<Backend>) {
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

  /** Returns whether anything has changed. */
  const replace = (next: ReadonlyArray<Backend>): Effect.Effect<boolean> =>
    SubscriptionRef.modify(ref, (members): readonly [boolean, ReadonlyArray<Member>] => {
      const old = new Map(members.map((member) => [member.backend.id, member]))
      const changed = next.map((backend): Member => {
        const member = old.get(backend.id)
        if (member === undefined) return { backend, state: "active" }
        const now = renewed(member.backend, backend)
        return same(member.backend, now) ? member : { backend: now, state: member.state }
      })
      const nothing = changed.length === members.length && changed.every((member, i) => member === members[i])
      return nothing ? [false, members] : [true, changed]
    })

  const fleet = Fleet.of({
    members: () => SubscriptionRef.getUnsafe(ref),
    changes: Stream.changes(SubscriptionRef.changes(ref)),
    setState,
  })
  return { fleet, replace }
})
