/**
 * The event of a request that a server has refused before the router could take it.
 *
 * @since 0.1.0
 */
import type { Clock, Context } from "effect"
import type { Refused } from "../../services/Refused.ts"
import type { RequestRefused } from "../../services/RouterEvents.ts"
import type { Tracing } from "../../services/Tracing.ts"

/** Its headers are read for its trace and not kept. @internal */
export const make = (
  { headers, ...about }: Refused,
  clock: Clock.Clock,
  tracing: Context.Service.Shape<typeof Tracing>,
): RequestRefused => ({
  _tag: "RequestRefused",
  at: clock.currentTimeMillisUnsafe(),
  ...about,
  trace: tracing?.begin({ headers }),
})
