/**
 * A fleet of fixed backends. Only operators change it, by draining and isolating backends.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type BackendInput, Fleet, type FleetError } from "../../services/Fleet.ts"
import * as Members from "./members.ts"

/**
 * A fleet of the given backends, all of them `active` at first.
 *
 * **Details**
 *
 * Fails with a `FleetError` (`InvalidFleet`) when there is no backend, when two have the same id or URL, and when an
 * input is not a valid backend. It does not throw, since the list often comes from an environment variable.
 *
 * **Example** (Two servers, one of them with a name and more slots)
 *
 * ```ts
 * import * as StaticFleet from "./StaticFleet.ts"
 *
 * export const fleet = StaticFleet.layer([
 *   "http://10.0.0.4:11434",
 *   { url: "http://10.0.0.5:11434", id: "big", parallelism: 4 }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (inputs: ReadonlyArray<BackendInput>): Layer.Layer<Fleet, FleetError> =>
  Layer.effect(
    Fleet,
    Effect.map(Effect.flatMap(Members.checked(inputs), Members.make), ({ fleet }) => fleet),
  )
