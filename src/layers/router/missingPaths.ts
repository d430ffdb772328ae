/**
 * Remembers which inference paths a backend does not have: an old Ollama beside a new one has no `/v1/responses`.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import { Leases } from "../../services/Leases.ts"
import type { Model } from "../../services/ModelCatalog.ts"

/** What a backend was when it answered that it does not have a path. */
interface Known {
  readonly url: string
  readonly version: string | undefined
  /** Until when it counts, by the router's clock, in milliseconds. */
  readonly until: number
}

/**
 * How long it counts, in milliseconds, for a backend whose version is not known, since it may have been upgraded, and
 * where a proxy may have answered, which may only be between two versions of its own set-up.
 */
const unsureMillis = 60_000

/** What Ollama's own HTTP library writes. */
const ollamaPage = /^40(4 page not found|5 method not allowed)\s*$/

const none: ReadonlyArray<string> = []

/**
 * The paths that backends do not have.
 *
 * **Details**
 *
 * It counts as long as the backend has the same URL and the same version; only for a minute where its version is not
 * known, or where the answer does not have the text of Ollama's own HTTP library. A backend that left is forgotten at
 * the next look at its path, or when another path is found missing. So there are never more entries than backends times
 * paths.
 *
 * @internal
 */
export class MissingPaths {
  private readonly byPath = new Map<string, Map<string, Known>>()
  private readonly fleet: FleetView
  private readonly clock: Clock.Clock

  constructor(fleet: FleetView, clock: Clock.Clock) {
    this.fleet = fleet
    this.clock = clock
  }

  /** Number of entries. */
  get size(): number {
    return Array.from(this.byPath.values()).reduce((sum, { size }) => sum + size, 0)
  }

  /** A backend has answered that it does not have the path, with this body. */
  add(path: string, id: string, body: Uint8Array): void {
    for (const other of Array.from(this.byPath.keys())) this.backends(other)
    const view = this.fleet.find(id)
    if (view === undefined) return
    const known = this.byPath.get(path) ?? new Map<string, Known>()
    this.byPath.set(path, known)
    const isSure = view.version !== undefined && ollamaPage.test(new TextDecoder().decode(body.subarray(0, 64)))
    const until = isSure ? Infinity : this.clock.currentTimeMillisUnsafe() + unsureMillis
    known.set(id, { url: view.backend.url, version: view.version, until })
  }

  /** Ids of the backends that do not have the path. */
  backends(path: string): ReadonlyArray<string> {
    const known = this.byPath.get(path)
    if (known === undefined) return none
    for (const [id, entry] of known) if (!this.counts(entry, this.fleet.find(id))) known.delete(id)
    if (known.size === 0) this.byPath.delete(path)
    return Array.from(known.keys())
  }

  /**
   * Ids of the backends that a request for the path is not sent to. None where no owner of the model has the path: the
   * client gets the 404 of one of them.
   */
  excluded(path: string, model: Model): ReadonlyArray<string> {
    // Nearly always: no backend lacks anything.
    if (this.byPath.size === 0) return none
    const ids = this.backends(path)
    return ids.length === 0 || this.fleet.owners(model).every(({ backend }) => ids.includes(backend.id)) ? none : ids
  }

  private counts({ until, url, version }: Known, view: BackendView | undefined): boolean {
    if (view === undefined || view.backend.url !== url || view.version !== version) return false
    return this.clock.currentTimeMillisUnsafe() < until
  }
}

/** @internal */
export const make: Effect.Effect<MissingPaths, never, Leases> = Effect.gen(function* () {
  const { view } = yield* Leases
  return new MissingPaths(view, yield* Clock.Clock)
})
