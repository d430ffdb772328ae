/**
 * Lets clients with an API key in, as the tenant of their key.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { ApiKeys, invalid, missing, noLocalKey, notFor, permits, presented } from "../../services/ApiKeys.ts"
import type { Guard } from "../../services/Plugin.ts"
import { refuse } from "../../services/Refusal.ts"
import { header } from "../../services/RoutedRequest.ts"

const noKey = refuse("Unauthorized", missing)
const wrongKey = refuse("Unauthorized", invalid)
const localKeyMissing = refuse("Unauthorized", noLocalKey)

/**
 * Refuses a request without a valid key with 401, and one for a model that the key does not permit with 403. Put it
 * first: the guards behind it and the queue use the tenant, the priority and the limits of the key.
 *
 * **Details**
 *
 * Clients send a key as `Authorization: Bearer KEY` or `x-api-key`. Neither the key nor its hash appears in a log,
 * metric or event, and backends do not receive it. A key permits models by the names that clients use: an alias must be
 * among its `models`, and the model that the alias stands for need not be.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /**
   * Id of the key that requests have which came over the `local` listener of `NodeServer` and send no key. Where there
   * is no such key, they are refused. Defaults to none: they need a key like all others.
   */
  readonly local?: string | undefined
}): Effect.Effect<Guard, never, ApiKeys> =>
  Effect.map(ApiKeys, (keys): Guard => ({
    kind: "guard",
    name: "api-key",
    check: (request) => {
      const key = presented((name) => header(request.headers, name))
      const isLocal = key === "" && request.local === true && options?.local !== undefined
      if (key === "" && !isLocal) return noKey
      const grant = isLocal ? keys.named(options.local) : keys.find(key)
      if (grant === undefined) return isLocal ? localKeyMissing : wrongKey
      const { model } = request.envelope
      if (!permits(grant, model)) return refuse("Forbidden", notFor(model))
      const { priority, tenant } = grant
      return {
        _tag: "Pass",
        request: { ...request, grant, tenant, priority: priority ?? request.priority },
      }
    },
  }))
