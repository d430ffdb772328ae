/**
 * Makes the demand of a request.
 *
 * @since 0.1.0
 */
import type { Model } from "../../services/ModelCatalog.ts"
import { clientOf, type Demand, type RoutedRequest } from "../../services/RoutedRequest.ts"
import { keepsNothing, unloads } from "./requestState.ts"

const none: ReadonlyArray<string> = []

/**
 * The demand of a request for a model. All fields are set from the start, so that all demands have one shape.
 *
 * @internal
 */
export const demandOf = (
  request: RoutedRequest,
  model: Model,
  promptTokens: number,
  numCtx: number | undefined,
  excluded: ReadonlyArray<string> = none,
): Demand => ({
  id: request.id,
  kind: request.endpoint.kind,
  model,
  numCtx,
  promptTokens,
  bytes: request.body.length,
  tenant: request.tenant,
  client: clientOf(request),
  priority: request.priority,
  since: request.receivedAt,
  queueMillis: request.queueMillis,
  session: request.session,
  excluded,
  deadline: undefined,
  waiting: undefined,
  cold: undefined,
  tier: undefined,
  keepsNothing: keepsNothing(request),
  loads: !unloads(request),
})
