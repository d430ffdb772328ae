/**
 * `llamero models`: the models of the fleet, where they are on disk, and where they are in memory.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { BackendState } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

/** A model of `/admin/models`, with the backends that have it in memory. */
interface Listed {
  readonly model: string
  readonly remote: boolean
  readonly capabilities: ReadonlyArray<string>
  readonly context_trained: number | null
  readonly backends: ReadonlyArray<{ readonly backend: string; readonly digest: string; readonly size: number }>
  readonly loaded: ReadonlyArray<string>
}

const loadedOn = (backends: ReadonlyArray<BackendState>, model: string): ReadonlyArray<string> =>
  backends.filter(({ models }) => models.some((one) => one.model === model && one.state === "resident"))
    .map(({ id }) => id)

/** Names that a line has place for. */
const namesMax = 4

const where = (names: ReadonlyArray<string>, of: number): string =>
  of > 1 && names.length === of ? `all ${of}` : Format.some(names, namesMax)

const digestOf = ({ backends }: Listed): Output.Cell => {
  const digests = new Set(backends.map(({ digest }) => digest))
  return digests.size > 1 ? ["warn", `${digests.size} versions`] : backends[0]?.digest.slice(0, 12) ?? ""
}

const rowOf = (fleet: number) => (one: Listed): ReadonlyArray<Output.Cell> => [
  one.model,
  one.remote ? "cloud" : Format.bytes(Math.max(...one.backends.map(({ size }) => size))),
  where(one.backends.map(({ backend }) => backend), fleet),
  where(one.loaded, fleet),
  digestOf(one),
  one.context_trained === null ? "" : Format.number(one.context_trained),
  one.capabilities.join(", "),
]

const columns: ReadonlyArray<Output.Column> = [
  "MODEL",
  { right: "SIZE" },
  "ON DISK",
  "IN MEMORY",
  "DIGEST",
  { right: "CONTEXT" },
  "CAPABILITIES",
]

/** @category calls @since 0.1.0 */
export const run = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.state.models())
    const { backends } = yield* Connection.ask(to, (client) => client.state.backends())
    const models = answer.models.map((one): Listed => ({ ...one, loaded: loadedOn(backends, one.model) }))
    yield* Output.print(
      json,
      { models },
      (paint) =>
        models.length === 0
          ? "No backend has a model, or none has been asked yet."
          : Output.table(columns, models.map(rowOf(backends.length)), paint),
    )
  })
