/**
 * Tells the router of requests that it never sees, because the server has refused them.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import { pathOf, type Refused } from "../../services/Refused.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import type { Router } from "../../services/Router.ts"
import * as ErrorShapes from "../../wire/errorShapes.ts"

interface Shared {
  readonly clock: Clock.Clock
  readonly router: Router["Service"]
}

/** A request, as far as it was read. @internal */
export interface Head {
  readonly id: string
  readonly method: string | undefined
  /** Its path and query. */
  readonly target: string
  readonly headers: ReadonlyArray<string>
  /** When it came; now where that is not known. */
  readonly arrivedAt?: number | undefined
}

const about = ({ clock }: Shared, head: Head): Pick<Refused, "arrivedAt" | "headers" | "id" | "method" | "path"> => ({
  id: head.id,
  method: head.method ?? "GET",
  path: pathOf(head.target),
  headers: head.headers,
  arrivedAt: head.arrivedAt ?? clock.currentTimeMillisUnsafe(),
})

/** A request to an inference path, in the dialect of the path. @internal */
export const call = (shared: Shared, head: Head, endpoint: Endpoint, why: Refusal): void =>
  shared.router.refused?.({
    ...about(shared, head),
    route: endpoint.path,
    status: ErrorShapes.statusOf(endpoint, why),
    reason: why.reason,
  })

/** Its head alone was enough. @internal */
export const head = (
  shared: Shared,
  head: Head,
  status: number,
  reason?: Refused["reason"],
  endpoint?: Endpoint,
): void => shared.router.refused?.({ ...about(shared, head), route: endpoint?.path, status, reason })

/** Paths whose answer is a state: a 503 there refuses nobody. */
const probes = /^\/(?:livez|readyz|healthz)(?:$|[/?])/

/** A route that is not inference has answered with `status`: a request that it has refused. @internal */
export const answered = (shared: Shared, about: Head, status: number): void => {
  if (status >= 400 && !probes.test(about.target)) head(shared, about, status)
}
