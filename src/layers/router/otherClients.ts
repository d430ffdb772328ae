/**
 * Tells whether clients use a model now, or wait for it. Asked only for a request that would unload the model.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import { clientOf } from "../../services/RoutedRequest.ts"
import type { Bag } from "../../support/bag.ts"
import { type Run, unloads } from "./requestState.ts"

/** Whose requests use a model or wait for it, besides the one that asks: `others` if any is another's. @internal */
export type Company = "others" | "own" | "none"

/** @internal */
export type CompanyOf = (run: Run, model: Model) => Company

/** Whether two names are names of the same weights on a backend. They share what is in its memory. */
const sameWeights = (catalog: ModelCatalog["Service"], one: Model, other: Model): boolean => {
  if (one.key === other.key) return true
  for (const [backend, { digest }] of one.owners) {
    const there = other.owners.get(backend)
    if (there === undefined) continue
    if (digest !== "" && digest === there.digest) return true
    const blob = Option.getOrUndefined(catalog.blob(one, backend))
    if (blob !== undefined && blob === Option.getOrUndefined(catalog.blob(other, backend))) return true
  }
  return false
}

/** `active` has all requests that have not ended, those in queues too. @internal */
export const make = (active: Bag<Run>, catalog: ModelCatalog["Service"]): CompanyOf => (run, model) => {
  const client = clientOf(run.request)
  let company: Company = "none"
  for (const other of active.snapshot()) {
    // An unload does not use the model. Two unloads must not wait for each other.
    if (other === run || !other.known || unloads(other.request)) continue
    if (other.model !== model.key) {
      const used = catalog.peek(other.model)
      if (used === undefined || !sameWeights(catalog, used, model)) continue
    }
    if (clientOf(other.request) !== client) return "others"
    company = "own"
  }
  return company
}
