/**
 * `llamero decisions`: the last requests, and why each went where it went.
 *
 * @since 0.1.0
 */
import { Effect, Option, Schema } from "effect"
import * as Connection from "../connection.ts"
import { type CommandFailed, failed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

/** The fields of a decision that the table shows. */
const Decision = Schema.Struct({
  id: Schema.String,
  at: Schema.String,
  route: Schema.String,
  model: Schema.String,
  result: Schema.String,
  status: Schema.Number,
  refusal: Schema.optionalKey(Schema.String),
  backend: Schema.optionalKey(Schema.String),
  attempts: Schema.Number,
  queued_seconds: Schema.Number,
  total_seconds: Schema.Number,
  cold: Schema.optionalKey(Schema.Boolean),
})
const decode = Schema.decodeUnknownEffect(Schema.Struct({ decisions: Schema.Array(Decision) }))

const row = (one: typeof Decision.Type): ReadonlyArray<Output.Cell> => [
  Format.clock(one.at),
  one.id,
  one.route,
  one.model,
  one.result === "answered" && one.status < 400 ? ["good", String(one.status)] : ["bad", String(one.status)],
  one.refusal ?? (one.result === "answered" ? "" : one.result),
  one.backend ?? "",
  String(one.attempts),
  Format.seconds(one.queued_seconds),
  Format.seconds(one.total_seconds),
  one.cold === true ? "cold" : "",
]

const columns: ReadonlyArray<Output.Column> = [
  "TIME",
  "REQUEST",
  "ROUTE",
  "MODEL",
  "STATUS",
  "WHY",
  "BACKEND",
  { right: "ATTEMPTS" },
  { right: "WAITED" },
  { right: "TOTAL" },
  "LOAD",
]

const list = (to: Connection.Connection, json: boolean, last: number) =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(
      to,
      (client) =>
        Effect.tap(client.decisions.decisions({ query: { limit: String(last) } }), (answer) => decode(answer)),
    )
    const { decisions } = yield* Effect.orDie(decode(answer))
    yield* Output.print(json, answer, (paint) =>
      decisions.length === 0 ? "No request has ended yet." : Output.table(columns, decisions.map(row), paint))
  })

const why = (to: Connection.Connection, json: boolean, id: string) =>
  Effect.gen(function* () {
    const words = yield* Connection.ask(to, (client) => client.decisions.why({ params: { id } }))
    if (typeof words === "string") return yield* failed(`The router at ${to.url} gave no JSON.`)
    yield* Output.print(json, words, () => [words.summary, ...words.sentences].map(Output.plain).join("\n"))
  })

/** @category calls @since 0.1.0 */
export const run = (
  { json, last, why: id, ...to }: Asking & { readonly last: number; readonly why: Option.Option<string> },
): Effect.Effect<void, CommandFailed> => Option.isSome(id) ? why(to, json, id.value) : list(to, json, last)
