/**
 * Traces requests: see `Trace`.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { RouterEvent } from "./RouterEvents.ts"
import type { Trace } from "./Trace.ts"

/** What traces requests. @category services @since 0.1.0 */
export interface Service {
  /** Called for each request when it comes, and for each that a server has refused. */
  readonly begin: (request: Pick<RoutedRequest, "headers">) => Trace
  /** Called for each event, in the background. */
  readonly take: (event: RouterEvent) => void
}

/**
 * Read by `PipelineRouter` when it is built. `undefined` where there is no tracing, which is the default: then a
 * request does nothing for it, and the client's own `traceparent` and `tracestate` are passed on.
 *
 * @category services
 * @since 0.1.0
 */
export const Tracing: Context.Reference<Service | undefined> = Context.Reference<Service | undefined>(
  "llamero/services/Tracing",
  { defaultValue: () => undefined },
)
