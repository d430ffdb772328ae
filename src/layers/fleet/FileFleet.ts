/**
 * The fleet in a file, which is read again when it changes.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer } from "effect"
import { Fleet, FleetError, InvalidFleet } from "../../services/Fleet.ts"
import { every } from "../../support/every.ts"
import * as Outage from "../../support/outage.ts"
import { type Defaults, read } from "./file.ts"
import * as Members from "./members.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Time between two looks at the file. Defaults to 1 second. */
  readonly interval?: Duration.Input | undefined
  /** Fields for the backends that do not set them. Defaults to the defaults of `Backend`. */
  readonly backend?: Defaults | undefined
}

const make = Effect.fnUntraced(function* (path: string, options?: Options) {
  const files = yield* FileSystem.FileSystem
  const text = files.readFileString(path).pipe(
    Effect.mapError((error) =>
      new FleetError({ reason: new InvalidFleet({ description: `${path}: ${error.message}` }) })
    ),
  )
  let seen = yield* text
  const { fleet, replace } = yield* Effect.flatMap(read(path, seen, options?.backend), Members.make)
  const outage = Outage.make()

  const reload = Effect.gen(function* () {
    const now = yield* text
    if (now === seen && !outage.lasts()) return
    seen = now
    const changed = yield* Effect.flatMap(read(path, now, options?.backend), replace)
    if (outage.lasts() || changed) yield* Effect.logInfo(`fleet: ${fleet.members().length} backends in ${path}`)
    yield* outage.ends()
  }).pipe(
    Effect.catch(({ message }) => outage.begins(message, Effect.logError(`fleet unchanged: ${message}`))),
  )
  yield* Effect.forkScoped(every(Duration.fromInputUnsafe(options?.interval ?? "1 second"), reload))
  return fleet
})

/**
 * A fleet from a JSON file, whose backends are URLs or have the fields of `Backend`:
 *
 * ```json
 * { "backends": ["http://10.0.0.4:11434", { "url": "http://10.0.0.5:11434", "id": "big", "weight": 2 }] }
 * ```
 *
 * **Details**
 *
 * The text of the file is compared, and not its date, so that a mounted Kubernetes ConfigMap works too. A change takes
 * effect as a whole or not at all. A file that cannot be read, is not JSON, has an unknown field, or names two backends
 * with one id or URL changes nothing, and the log says why. A backend that is gone gets no new requests and finishes
 * those it has. When the layer is built, a bad file is a `FleetError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string, options?: Options): Layer.Layer<Fleet, FleetError, FileSystem.FileSystem> =>
  Layer.effect(Fleet, make(path, options))
