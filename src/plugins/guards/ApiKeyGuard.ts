/**
 * Lets in whoever has a key, as the tenant that the key says.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { ApiKeys, invalid, missing, notFor, permits, presented } from "../../services/ApiKeys.ts"
import type { Guard } from "../../services/Plugin.ts"
import { refuse } from "../../services/Refusal.ts"
import { header } from "../../services/RoutedRequest.ts"

const noKey = refuse("Unauthorized", missing)
const wrongKey = refuse("Unauthorized", invalid)

/**
 * 401 without a valid key, 403 for a model that the key is not for. Goes first: tenant, priority and limits of the key are for the guards and the queue behind it.
 *
 * **Details**
 *
 * Keys are sent as `Authorization: Bearer KEY` or `x-api-key`. Neither the key nor its hash is in any log, metric or event, and backends are not sent it.
 * What a key may use is asked for by the name the client gives, so an alias has to be among its `models`, and what it stands for does not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Effect.Effect<Guard, never, ApiKeys> =>
  Effect.map(ApiKeys, (keys): Guard => ({
    kind: "guard",
    name: "api-key",
    check: (request) => {
      const key = presented((name) => header(request.headers, name))
      if (key === "") return noKey
      const grant = keys.find(key)
      if (grant === undefined) return wrongKey
      const { model } = request.envelope
      if (!permits(grant, model)) return refuse("Forbidden", notFor(model))
      const { priority, tenant } = grant
      return {
        _tag: "Pass",
        request: { ...request, grant, tenant, priority: priority ?? request.priority },
      }
    },
  }))
