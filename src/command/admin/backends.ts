/**
 * `llamero backends`: the backends, and how each is.
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
import { condition, urgency } from "../state/state.ts"

const tones = ["good", "warn", "warn", "bad"] as const

/** How a backend is, in its colour. @category rendering @since 0.1.0 */
export const conditionOf = (
  backend: BackendState,
): Output.Cell => [tones[urgency(backend)] ?? "bad", condition(backend)]

const row = (one: BackendState): ReadonlyArray<Output.Cell> => [
  one.id,
  conditionOf(one),
  one.breaker === "closed" ? "closed" : ["bad", one.breaker],
  `${one.streams}/${one.streams_max}`,
  String(one.models.filter(({ state }) => state === "resident").length),
  Format.bytes(one.room),
  one.first_byte_seconds === null ? "" : Format.seconds(one.first_byte_seconds),
  one.version ?? "",
  one.url,
  one.health === "healthy" ? "" : ["dim", one.reason],
]

const columns: ReadonlyArray<Output.Column> = [
  "BACKEND",
  "STATE",
  "BREAKER",
  { right: "STREAMS" },
  { right: "LOADED" },
  { right: "FREE" },
  { right: "FIRST BYTE" },
  "OLLAMA",
  "URL",
  "WHY",
]

/** @category calls @since 0.1.0 */
export const run = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.state.backends())
    yield* Output.print(
      json,
      answer,
      (paint) =>
        answer.backends.length === 0
          ? "There are no backends."
          : Output.table(columns, answer.backends.map(row), paint),
    )
  })
