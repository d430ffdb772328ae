/**
 * `llamero changes`: what operators have changed.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

const tones = { done: "good", failed: "bad", refused: "warn" } as const

const columns = ["TIME", "WHO", "FROM", "CHANGE", "BACKEND", "MODEL", "RESULT", "WHAT"]

/** @category calls @since 0.1.0 */
export const run = ({ json, last, ...to }: Asking & { readonly last: number }): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.state.changes({ query: { limit: String(last) } }))
    const rows = answer.changes.map((one): ReadonlyArray<Output.Cell> => [
      Format.clock(one.at),
      one.who,
      one.address ?? "",
      one.action,
      one.backend ?? "",
      one.model ?? "",
      [tones[one.result], one.result],
      one.reason,
    ])
    yield* Output.print(
      json,
      answer,
      (paint) => rows.length === 0 ? "No operator has changed anything." : Output.table(columns, rows, paint),
    )
  })
