/**
 * Makes the demand of a request.
 *
 * @since 0.1.0
 */
import type { Model } from "../../services/ModelCatalog.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { TokenEstimator } from "../../services/TokenEstimator.ts"
import { keepsNothing, unloads } from "./requestState.ts"

/** The demand of a request for a model. `passThrough`: see `ClientOptions`. @internal */
export const demandOf = (
  request: RoutedRequest,
  model: Model,
  tokens: TokenEstimator["Service"],
  passThrough: boolean,
): Demand => {
  const { envelope } = request
  return {
    id: request.id,
    kind: request.endpoint.kind,
    model,
    numCtx: passThrough ? undefined : envelope.numCtx,
    promptTokens: tokens.estimate(model.key, envelope.promptBytes, envelope.images),
    bytes: request.body.length,
    tenant: request.tenant,
    priority: request.priority,
    since: request.receivedAt,
    queueMillis: request.queueMillis,
    session: request.session,
    excluded: [],
    deadline: undefined,
    waiting: undefined,
    cold: undefined,
    tier: undefined,
    keepsNothing: keepsNothing(request),
    loads: !unloads(request),
  }
}
