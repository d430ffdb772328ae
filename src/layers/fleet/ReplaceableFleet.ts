/**
 * A fleet whose backends the program replaces, such as one that reads its settings again while it runs.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type Backend, type BackendInput, Fleet, type FleetError } from "../../services/Fleet.ts"
import * as Members from "./members.ts"

/** @category models @since 0.1.0 */
export interface ReplaceableFleet {
  readonly layer: Layer.Layer<Fleet>
  /**
   * Replaces all backends, and returns whether anything has changed. They must be those of one `backends`, which
   * checks them.
   *
   * A backend that stays keeps the state that an operator gave it, its streams and its breaker, and has its new fields
   * from then on. One that goes gets no new requests and finishes those that it has.
   */
  readonly replace: (backends: ReadonlyArray<Backend>) => Effect.Effect<boolean>
}

/**
 * The backends of a list. Fails with `InvalidFleet` when it is empty, when two have the same id or URL, and when one is
 * not valid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backends = (
  inputs: ReadonlyArray<BackendInput>,
): Effect.Effect<ReadonlyArray<Backend>, FleetError> => Members.checked(inputs)

/** A fleet of backends, all of them `active` at first. @category constructors @since 0.1.0 */
export const make = (first: ReadonlyArray<Backend>): Effect.Effect<ReplaceableFleet> =>
  Effect.map(Members.make(first), ({ fleet, replace }) => ({ layer: Layer.succeed(Fleet, fleet), replace }))
