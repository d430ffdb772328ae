/**
 * The calls of the admin API that change backends.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import { type OfId, type Post, post, says } from "./endpoint.ts"
import * as Errors from "./errors.ts"
import type { Done } from "./states.ts"
import * as Schemas from "./stateSchemas.ts"

const errors = [Errors.BadCall, Errors.Unknown, Errors.NotNow] as const
const change = { params: { id: Schema.String }, success: Schemas.Done, error: errors }
const ofModel = { ...change, payload: Schema.Struct({ model: Schema.NonEmptyString }) }

type Failure = Errors.BadCall | Errors.Unknown | Errors.NotNow
type Change<Name extends string> = Post<Name, `/admin/backends/:id/${Name}`, Done, Failure, OfId>

export interface Model {
  readonly model: string
}
interface OfModel<Payload = Model> extends OfId {
  readonly payload: Payload
}
type ModelChange<Name extends string> = Post<Name, `/admin/backends/:id/${Name}`, Done, Failure, OfModel>

/** What is loaded, and how. */
export interface Load extends Model {
  /** Whether idle models may be unloaded for it. */
  readonly evicts?: boolean
  /** An explicit context, in tokens. */
  readonly num_ctx?: number
  /** Whether the answer waits for the end of the load. */
  readonly wait?: boolean
}

const drain: Change<"drain"> = post("drain", "/admin/backends/:id/drain", change).annotateMerge(
  says("No new requests; running ones finish", "`streams` of the backend is 0 when it can be stopped."),
)
const undrain: Change<"undrain"> = post("undrain", "/admin/backends/:id/undrain", change)
  .annotateMerge(says("Ends a drain or an isolation"))
const isolate: Change<"isolate"> = post("isolate", "/admin/backends/:id/isolate", change).annotateMerge(
  says("Holds the backend out of everything", "As a drain; and lists of models do not ask it."),
)
const load: Post<"load", "/admin/backends/:id/load", Done, Failure | Errors.Failed, OfModel<Load>> = post(
  "load",
  "/admin/backends/:id/load",
  {
    ...change,
    error: [...errors, Errors.Failed],
    payload: Schema.Struct({
      model: Schema.NonEmptyString,
      evicts: Schema.optionalKey(Schema.Boolean),
      num_ctx: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 31 }))),
      wait: Schema.optionalKey(Schema.Boolean),
    }),
  },
).annotateMerge(says("Loads a model", "Idle models may be unloaded for it, unless `evicts` is false."))
const prewarm: ModelChange<"prewarm"> = post("prewarm", "/admin/backends/:id/prewarm", ofModel).annotateMerge(
  says("Loads a model into free memory only", "Unloads nothing, and waits for no other load: else 409."),
)
const unload: ModelChange<"unload"> = post("unload", "/admin/backends/:id/unload", ofModel)
  .annotateMerge(says("Unloads a model that is idle"))
const pin: ModelChange<"pin"> = post("pin", "/admin/backends/:id/pin", ofModel).annotateMerge(
  says("Keeps a model from being unloaded", "Whether it is in memory now or later. It ends with the process."),
)
const unpin: ModelChange<"unpin"> = post("unpin", "/admin/backends/:id/unpin", ofModel)
  .annotateMerge(says("Ends a pin of an operator"))

/** @category groups @since 0.1.0 */
export const backendCalls: HttpApiGroup.HttpApiGroup<
  "backends",
  | typeof drain
  | typeof undrain
  | typeof isolate
  | typeof load
  | typeof prewarm
  | typeof unload
  | typeof pin
  | typeof unpin
> = HttpApiGroup.make("backends").add(drain, undrain, isolate, load, prewarm, unload, pin, unpin)
  .annotateMerge(says("", "Changes backends, and the models in their memory."))
