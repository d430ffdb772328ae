/**
 * Keeps a conversation on one backend, where its prompt is still in the cache.
 *
 * @since 0.1.0
 */
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import type { Guard, Scorer } from "../../services/Plugin.ts"
import { header } from "../../services/RoutedRequest.ts"
import { beginning } from "./affinity/conversation.ts"
import { ofBytes, ofText, wants } from "./affinity/hash.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /**
   * The request header that names the session, in lower case. Defaults to `x-session-id`. A chat without the header is
   * named by its messages up to and with the first one of the user.
   */
  readonly header?: string | undefined
  /**
   * The most streams that a backend may have, as a multiple of its share of all streams (by weight). Above that its
   * sessions go to their next choice. At least 1. Defaults to `1.25`.
   */
  readonly loadMax?: number | undefined
}

/** The guard names the session of a request. A request that has none passes as it is. */
const naming = (named: string): Guard => ({
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
})

interface Loads {
  readonly fleet: FleetView
  readonly moment: number
  readonly owners: ReadonlyArray<BackendView>
  readonly load: number
  /** The sum of the weights. */
  readonly weights: number
}

/** Streams of all owners and one more, and the sum of their weights. */
const loadsOf = (owners: ReadonlyArray<BackendView>): Pick<Loads, "load" | "weights"> => {
  let load = 1
  let weights = 0
  for (const view of owners) {
    load += view.streams
    weights += view.backend.weight
  }
  return { load, weights }
}

/** Whether a backend would stay within its share of the load with one stream more. */
const rooms = (
  loadMax: number,
): (view: BackendView, owners: ReadonlyArray<BackendView>, fleet: FleetView) => boolean => {
  let last: Loads | undefined
  return ({ backend, streams }, owners, fleet) => {
    const { moment } = fleet
    const kept = moment !== undefined && last?.moment === moment && last.fleet === fleet && last.owners === owners
    const { load, weights } = kept ? last! : loadsOf(owners)
    if (moment !== undefined && !kept) last = { fleet, moment, owners, load, weights }
    return streams + 1 <= Math.ceil(loadMax * load * (backend.weight / weights))
  }
}

interface Ranks {
  readonly session: number
  readonly owners: ReadonlyArray<BackendView>
  /** The place of each owner: 0 for the first choice. */
  readonly places: ReadonlyMap<BackendView, number>
}

/** The place of a backend in the order in which a session prefers the owners; -1 for one that is no owner. */
const ranking = (): (session: number, owners: ReadonlyArray<BackendView>, view: BackendView) => number => {
  // One answer is kept: a request is scored for all backends in a row, each time with the same session and owners.
  let last: Ranks | undefined
  return (session, owners, view) => {
    if (last?.session !== session || last.owners !== owners) {
      const wanted = owners.map((view) => ({ view, wants: wants(session, view.backend.id, view.backend.weight) }))
      wanted.sort((a, b) => b.wants - a.wants)
      last = { session, owners, places: new Map(wanted.map(({ view }, place) => [view, place])) }
    }
    return last.places.get(view) ?? -1
  }
}

/**
 * A guard that names the session of a request, and a scorer that prefers the session's backend. Put both into the
 * router. A request without a session scores 0 everywhere, so the other scorers decide.
 *
 * **Details**
 *
 * Each session ranks the owners of the model by weighted rendezvous hashing: when a backend goes, only its sessions
 * move, and every replica of the router ranks alike. A backend of weight 2 is the first choice of twice as many
 * sessions as one of weight 1. The load of a backend is bounded (consistent hashing with bounded loads, Mirrokni,
 * Thorup and Zadimoghaddam 2018), also by weight.
 *
 * The first choice of a session scores 1, the second 1/2, the third 1/4, and so on. A backend that has reached its
 * bound scores 0. To make the scorer binding, give it a weight above the sum of the other scorers' weights.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): { readonly guard: Guard; readonly scorer: Scorer } => {
  const loadMax = options?.loadMax ?? 1.25
  if (!(loadMax >= 1)) throw new RangeError(`SessionAffinity.make: loadMax must be at least 1, got ${loadMax}`)
  const ranked = ranking()
  const hasRoom = rooms(loadMax)
  return {
    guard: naming(options?.header ?? "x-session-id"),
    scorer: {
      kind: "scorer",
      name: "session-affinity",
      score: (view, demand, fleet) => {
        if (demand.session === undefined) return 0
        const owners = fleet.owners(demand.model)
        if (!hasRoom(view, owners, fleet)) return 0
        return 2 ** -ranked(demand.session, owners, view)
      },
    },
  }
}
