/**
 * What operators change: backends, and the models in their memory.
 *
 * @since 0.1.0
 */
import { Console, Duration, Effect, Option } from "effect"
import type { BackendState } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import { type CommandFailed, failed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Output from "../output.ts"

/** What the router says about a change. */
interface Done {
  readonly done: string
  readonly backend: BackendState
}

const print = (json: boolean, answer: Done) => Output.print(json, answer, () => Output.plain(answer.done))

/** @category models @since 0.1.0 */
export interface OfBackend extends Asking {
  readonly backend: string
}

/** @category models @since 0.1.0 */
export interface OfModel extends OfBackend {
  readonly model: string
}

/** Ends a drain or an isolation, or isolates. @category calls @since 0.1.0 */
export const state = (call: "undrain" | "isolate") =>
(
  { backend, json, ...to }: OfBackend,
): Effect.Effect<void, CommandFailed> =>
  Effect.flatMap(
    Connection.ask(to, (client) => client.backends[call]({ params: { id: backend } })),
    (answer) => print(json, answer),
  )

/** @category calls @since 0.1.0 */
export const model = (call: "unload" | "pin" | "unpin" | "prewarm") =>
(
  { backend, json, model, ...to }: OfModel,
): Effect.Effect<void, CommandFailed> =>
  Effect.flatMap(
    Connection.ask(to, (client) => client.backends[call]({ params: { id: backend }, payload: { model } })),
    (answer) => print(json, answer),
  )

/** Time between two looks at a backend that is being drained. */
const lookEvery = Duration.seconds(1)

/** Waits until no request is under way on a backend. */
const finished = (to: Connection.Connection, id: string): Effect.Effect<BackendState, CommandFailed> =>
  Effect.flatMap(
    Connection.ask(to, (client) => client.state.backend({ params: { id } })),
    (found) =>
      found.streams === 0
        ? Effect.succeed(found)
        : Effect.andThen(Effect.sleep(lookEvery), Effect.suspend(() => finished(to, id))),
  )

/** @category calls @since 0.1.0 */
export const drain = (
  { backend, json, wait, ...to }: OfBackend & { readonly wait: Option.Option<Duration.Duration> },
): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    const answer = yield* Connection.ask(to, (client) => client.backends.drain({ params: { id: backend } }))
    if (Option.isNone(wait)) return yield* print(json, answer)
    if (!json) yield* Console.log(Output.plain(answer.done))
    const ended = yield* Effect.timeoutOption(finished(to, backend), wait.value)
    if (Option.isNone(ended)) {
      return yield* failed(`Requests are still under way on ${backend} after ${Duration.format(wait.value)}.`)
    }
    yield* print(json, { done: `No request is under way on ${backend}: it can be stopped.`, backend: ended.value })
  })

/** Longest load that a command waits for: `fetch` of Node waits 5 minutes for an answer. */
const loadMax = Duration.minutes(5)

/** @category models @since 0.1.0 */
export interface Load extends OfModel {
  readonly context: Option.Option<number>
  readonly noEvict: boolean
  readonly wait: boolean
}

/** @category calls @since 0.1.0 */
export const load = ({ backend, context, json, model, noEvict, wait, ...to }: Load): Effect.Effect<
  void,
  CommandFailed
> => {
  const payload = {
    model,
    ...(noEvict ? { evicts: false } : {}),
    ...(Option.isSome(context) ? { num_ctx: context.value } : {}),
    ...(wait ? { wait } : {}),
  }
  const call = Connection.ask(
    to,
    (client) => client.backends.load({ params: { id: backend }, payload }),
    wait ? loadMax : undefined,
  )
  return Effect.flatMap(call, (answer) => print(json, answer))
}
