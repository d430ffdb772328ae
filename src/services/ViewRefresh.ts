/**
 * Brings the view of the fleet up to date when a request comes.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"

/**
 * Asked by a listener before each request. Nobody has to provide it: nothing is to be done where the view is read in the background.
 *
 * @category services
 * @since 0.1.0
 */
export const ViewRefresh = Context.Reference<{
  /** What to wait for before the request is routed; `undefined` when the view will do. Never fails. */
  readonly stale: () => Effect.Effect<void> | undefined
}>("llamero/services/ViewRefresh", { defaultValue: () => ({ stale: () => undefined }) })
