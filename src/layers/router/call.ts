/**
 * Makes the call that a backend gets from the client's request.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { type Lease, Leases } from "../../services/Leases.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { Residency } from "../../services/Residency.ts"
import type { Call } from "../../services/Transport.ts"
import { forwardHeaders } from "../../wire/headers.ts"
import { mayRewrite, type Policy, rewritten } from "./clientOptions.ts"
import type { CompanyOf } from "./otherClients.ts"
import type { Run } from "./requestState.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** The headers that are passed on, and the body with the client's options as the policy allows them. @internal */
export const make = Effect.fnUntraced(function* (clients: Policy, forwardCredentials: boolean, companyOf: CompanyOf) {
  const clock = yield* Clock.Clock
  const leases = yield* Leases
  const residency = yield* Residency

  return (run: Run, { backend, demand: { model } }: Lease, reply: ReplySink): Call => {
    const { body, endpoint, id } = run.request
    const headers = forwardHeaders(run.request.headers, id, forwardCredentials)
    if (run.trace !== undefined) TracedAttempts.sent(run.trace, backend, headers, clock.currentTimeMillisUnsafe())
    const call: Call = { method: "POST", path: endpoint.upstreamPath, headers, body }
    if (!mayRewrite(run.request, model, backend.id, residency, clients)) return call
    const view = leases.view.find(backend.id)
    if (view === undefined) return call
    const company = () => companyOf(run, model) === "others"
    const asked = { request: run.request, model, view, company, now: clock.currentTimeMillisUnsafe() }
    const changed = rewritten(asked, residency, clients)
    if (changed === undefined) return call
    // Only once: another attempt may rewrite the same fields again.
    if (run.rewrote === undefined) reply.annotate(["x-llamero-rewrote", changed.names.join()])
    run.rewrote ??= changed.names
    return { ...call, body: changed.body }
  }
})
