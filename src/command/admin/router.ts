/**
 * What plans want in memory, a reload, and the log: what is about the router itself.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import type { State } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Format from "../format.ts"
import * as Output from "../output.ts"

const tones = { failed: "bad", loading: "warn", pending: "warn", resident: "good" } as const

const prewarmRow = ({ backend, model, plan, reason, state }: State["prewarm"][number]): ReadonlyArray<Output.Cell> => [
  model,
  backend ?? "",
  [tones[state], state],
  plan,
  reason,
]

/** @category calls @since 0.1.0 */
export const prewarm = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.state.prewarm())
    const columns = ["MODEL", "BACKEND", "STATE", "PLAN", "WHY"]
    yield* Output.print(
      json,
      answer,
      (paint) =>
        answer.prewarm.length === 0
          ? "No plan wants a model in memory."
          : Output.table(columns, answer.prewarm.map(prewarmRow), paint),
    )
  })

/** @category calls @since 0.1.0 */
export const reload = ({ json, ...to }: Asking): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.router.reload())
    const rows = answer.reloaded.map(({ result, what }): ReadonlyArray<Output.Cell> => [
      what,
      result === "changed" ? ["good", result] : result,
    ])
    yield* Output.print(json, answer, (paint) => Output.table(["WHAT", "RESULT"], rows, paint))
  })

/** @category models @since 0.1.0 */
export interface Log extends Asking {
  readonly level: Option.Option<"All" | "Trace" | "Debug" | "Info" | "Warn" | "Error" | "Fatal" | "None">
  readonly sample: Option.Option<number>
}

/** @category calls @since 0.1.0 */
export const log = ({ json, level, sample, ...to }: Log): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const payload = {
      ...(Option.isSome(level) ? { level: level.value } : {}),
      ...(Option.isSome(sample) ? { sample: sample.value } : {}),
    }
    const isChange = Object.keys(payload).length > 0
    const answer = yield* Connection.ask(
      to,
      (client) => isChange ? client.router.setLog({ payload }) : client.router.log(),
    )
    const share = `${Format.number(answer.sample * 100)} % of the requests without an error`
    yield* Output.print(json, answer, () => `level ${answer.level.toLowerCase()}, ${share}`)
  })
