/**
 * Reads the state of the fleet when a request comes, on hosts where nothing runs in the background.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"

/**
 * Called by the servers before each request. By default it does nothing, because the state is read in the background.
 *
 * @category services
 * @since 0.1.0
 */
export const ViewRefresh = Context.Reference<{
  /** The read to wait for before the request is routed; `undefined` if the view is new enough. Never fails. */
  readonly stale: () => Effect.Effect<void> | undefined
}>("llamero/services/ViewRefresh", { defaultValue: () => ({ stale: () => undefined }) })
