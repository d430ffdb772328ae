/**
 * One background fiber for each backend of the fleet.
 *
 * @since 0.1.0
 */
import { Effect, FiberMap, type Scope, Stream } from "effect"
import type { Backend, Fleet, Member } from "../services/Fleet.ts"

/**
 * Runs `loop` for every backend until the backend leaves the fleet or the scope closes, and calls `removed` for each
 * backend that left. A backend whose URL changed under the same id counts as a new backend, and so does one whose
 * authentication changed. Any other change does not start its loop again: `latest` gives the backend as it is now.
 *
 * @category utils
 * @since 0.1.0
 */
export const perBackend = Effect.fnUntraced(function* (
  fleet: Fleet["Service"],
  loop: (backend: Backend, latest: () => Backend) => Effect.Effect<unknown>,
  removed: (id: string) => void,
): Effect.fn.Return<void, never, Scope.Scope> {
  const fibers = yield* FiberMap.make<string>()
  const known = new Map<string, { backend: Backend }>()
  const follow = Effect.fnUntraced(function* (members: ReadonlyArray<Member>) {
    const present = new Map(members.map(({ backend }) => [backend.id, backend]))
    for (const [id, { backend: { access, url } }] of known) {
      const now = present.get(id)
      if (now?.url === url && now.access === access) continue
      known.delete(id)
      yield* FiberMap.remove(fibers, id)
      removed(id)
    }
    for (const backend of present.values()) {
      const before = known.get(backend.id)
      if (before !== undefined) {
        before.backend = backend
        continue
      }
      const entry = { backend }
      known.set(backend.id, entry)
      yield* FiberMap.run(fibers, backend.id, loop(backend, () => entry.backend))
    }
  })
  yield* follow(fleet.members())
  yield* Effect.forkScoped(Stream.runForEach(fleet.changes, follow))
})
