/**
 * Keeps a conversation on one backend, where its prompt is still in the cache.
 *
 * @since 0.1.0
 */
import type { BackendView } from "../../services/FleetView.ts"
import type { Guard, Scorer } from "../../services/Plugin.ts"
import { header } from "../../services/RoutedRequest.ts"
import { beginning } from "./affinity/conversation.ts"
import { ofBytes, ofText, wants } from "./affinity/hash.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Names the session, in lower case. Defaults to `x-session-id`; without it the messages up to the user's first one do. */
  readonly header?: string | undefined
  /** Share of the average load, by weight, that a backend may have before sessions go on to their next choice. Defaults to `1.25`. */
  readonly loadMax?: number | undefined
}

interface Ranks {
  readonly session: number
  readonly owners: ReadonlyArray<BackendView>
  readonly ranks: ReadonlyArray<BackendView>
}

/**
 * A guard that names the session and a scorer that prefers its backend; put both in. A request without a session is left to the other scorers.
 *
 * **Details**
 *
 * Weighted rendezvous hashing over the owners of the model: when a backend goes, only its sessions move, and every replica of the router decides alike. Its load
 * is bounded (consistent hashing with bounded loads, Mirrokni, Thorup and Zadimoghaddam 2018). The session's first choice scores 1, the next 1/2, then
 * 1/4; one that has its bound scores 0. Give it a weight above the others' sum to make it binding.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): { readonly guard: Guard; readonly scorer: Scorer } => {
  const named = options?.header ?? "x-session-id"
  const loadMax = options?.loadMax ?? 1.25
  if (!(loadMax >= 1)) throw new RangeError(`SessionAffinity: loadMax must be at least 1, got ${loadMax}`)

  // One answer is kept: a request is scored once for each backend, all in a row.
  let last: Ranks | undefined
  const ranked = (session: number, owners: ReadonlyArray<BackendView>): ReadonlyArray<BackendView> => {
    if (last?.session !== session || last.owners !== owners) {
      const wanted = owners.map((view) => ({ view, wants: wants(session, view.backend.id, view.backend.weight) }))
      last = { session, owners, ranks: wanted.sort((a, b) => b.wants - a.wants).map(({ view }) => view) }
    }
    return last.ranks
  }

  /** Whether one stream more leaves it within its share of the load there would be then. */
  const hasRoom = ({ backend: { weight }, streams }: BackendView, owners: ReadonlyArray<BackendView>): boolean => {
    let load = 1
    let weights = 0
    for (const view of owners) {
      load += view.streams
      weights += view.backend.weight
    }
    return streams + 1 <= Math.ceil(loadMax * load * weight / weights)
  }

  return {
    guard: {
      kind: "guard",
      name: "session",
      fails: "open",
      check: (request) => {
        const given = header(request.headers, named)
        const first = given === undefined && request.endpoint.kind === "chat" ? beginning(request.body) : undefined
        if (given === undefined && first === undefined) return { _tag: "Pass", request }
        return {
          _tag: "Pass",
          request: { ...request, session: first === undefined ? ofText(given ?? "") : ofBytes(first) },
        }
      },
    },
    scorer: {
      kind: "scorer",
      name: "session-affinity",
      score: (view, demand, fleet) => {
        if (demand.session === undefined) return 0
        const owners = fleet.owners(demand.model)
        if (!hasRoom(view, owners)) return 0
        return 2 ** -ranked(demand.session, owners).indexOf(view)
      },
    },
  }
}
