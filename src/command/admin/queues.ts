/**
 * `llamero queues`: the requests that wait.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { State } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

/** Tenants that a line has place for. */
const tenantsMax = 4

const row = (one: State["queues"][number]): ReadonlyArray<Output.Cell> => [
  one.model,
  Format.number(one.depth),
  Format.seconds(one.oldest_seconds),
  Format.seconds(one.estimated_wait_seconds),
  Format.bytes(one.bytes),
  String(one.classes.interactive),
  String(one.classes.default),
  String(one.classes.batch),
  Format.some(one.tenants.map(({ depth, tenant }) => `${tenant === "" ? "(none)" : tenant} ${depth}`), tenantsMax),
]

const columns: ReadonlyArray<Output.Column> = [
  "MODEL",
  { right: "WAITING" },
  { right: "OLDEST" },
  { right: "EXPECTED WAIT" },
  { right: "BODIES" },
  { right: "INTERACTIVE" },
  { right: "DEFAULT" },
  { right: "BATCH" },
  "TENANTS",
]

/** @category calls @since 0.1.0 */
export const run = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.state.queues())
    yield* Output.print(
      json,
      answer,
      (paint) =>
        answer.queues.length === 0 ? "No request waits." : Output.table(columns, answer.queues.map(row), paint),
    )
  })
