/**
 * Reads the state of the fleet when a request comes, on hosts where nothing runs in the background.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"

/** How the servers have the view read. @category services @since 0.1.0 */
export interface Service {
  /** The read to wait for before the request is routed; `undefined` if the view is new enough. Never fails. */
  readonly stale: () => Effect.Effect<void> | undefined
}

/**
 * Called by the servers before each request. By default it does nothing, because the state is read in the background.
 *
 * @category services
 * @since 0.1.0
 */
export const ViewRefresh: Context.Reference<Service> = Context.Reference<Service>("llamero/services/ViewRefresh", {
  defaultValue: () => ({ stale: () => undefined }),
})
