/**
 * Looks how far an unload has come, and asks for what can be done now.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { BackendView } from "../../services/FleetView.ts"
import type { Leases } from "../../services/Leases.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Residency } from "../../services/Residency.ts"
import { clientOf } from "../../services/RoutedRequest.ts"
import { otherUse, type Policy } from "./clientOptions.ts"
import type { CompanyOf } from "./otherClients.ts"
import type { Run } from "./requestState.ts"

/** What an unload depends on. @internal */
export interface Facts {
  readonly clients: Policy
  readonly companyOf: CompanyOf
  readonly clock: Clock.Clock
  readonly leases: Leases["Service"]
  readonly residency: Residency["Service"]
}

/** The backends that were asked to unload the model: whether it has left each of them. @internal */
export type Asked = Map<string, boolean>

/** A backend that has the model in memory, or is loading it. */
interface Holder {
  readonly view: BackendView
  readonly state: "loading" | "resident" | "draining"
}

/** A refusal that the client can show. @internal */
export const no = ({ request }: Run, why: string): Refusal =>
  refuse("Forbidden", `model '${request.envelope.model}' was not unloaded: ${why}`)

const holders = ({ leases, residency }: Facts, model: Model): ReadonlyArray<Holder> =>
  Array.from(model.owners.keys()).flatMap((id): ReadonlyArray<Holder> => {
    const view = leases.view.find(id)
    const state = residency.state(id, model)
    return view === undefined || state === "absent" || view.health === "unhealthy" ? [] : [{ view, state }]
  })

/** Why the model may not be unloaded; `undefined` when it may, at once or later. */
const refusal = (facts: Facts, run: Run, model: Model, held: ReadonlyArray<Holder>): Refusal | undefined => {
  const { clients, clock, companyOf, residency } = facts
  if (held.some(({ view }) => residency.pinned(view.backend.id, model))) {
    return no(run, "this server keeps it in memory")
  }
  if (clients.passThrough) return undefined
  if (companyOf(run, model) === "others") return no(run, "another client uses it or waits for it")
  const now = clock.currentTimeMillisUnsafe()
  for (const { view } of held) {
    const use = otherUse(clientOf(run.request), view, model, residency, clients)
    if (use === undefined || use.until <= now) continue
    const [ago, left] = [now - use.at, use.until - now].map((millis) => Math.ceil(millis / 1000))
    return no(run, `another client used it ${ago} s ago; ask again in ${left} s, if nobody else uses it until then`)
  }
  return undefined
}

/** `gone` when no backend has the model in memory; `wait` when another look is needed after a change. @internal */
export const look = (facts: Facts, run: Run, model: Model, asked: Asked): Refusal | "gone" | "wait" => {
  const held = holders(facts, model)
  for (const id of asked.keys()) {
    const holder = held.find(({ view }) => view.backend.id === id)
    if (holder === undefined || holder.state === "loading") asked.set(id, true)
    else if (holder.state === "resident" && asked.get(id) === false) {
      return no(run, "its server still uses it, for somebody who does not ask here")
    }
  }
  // What was loaded again since then is wanted by a request that came later.
  const left = held.filter(({ view }) => asked.get(view.backend.id) !== true)
  if (left.length === 0) return "gone"
  if (asked.size === 0) {
    const refused = refusal(facts, run, model, left)
    if (refused !== undefined) return refused
    if (facts.companyOf(run, model) !== "none") return "wait"
  }
  for (const { state, view: { backend } } of left) {
    if (state !== "resident" || asked.has(backend.id) || !facts.residency.unload(backend, model)) continue
    asked.set(backend.id, false)
  }
  return "wait"
}
