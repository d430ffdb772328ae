/**
 * Shows pulls while they run: one line that changes on a terminal, a line for each begin and end elsewhere.
 *
 * @since 0.1.0
 */
import { Console, Duration, Effect, type Scope, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import * as Format from "../format.ts"
import * as Output from "../output.ts"
import { cut } from "../top/line.ts"
import type { Ended, Listener, Progress } from "./perform.ts"
import type { PlannedPull } from "./plan.ts"

const drawEvery = Duration.millis(250)

/** Says nothing. @category constructors @since 0.1.0 */
export const silent: Listener = { onBegin: () => Effect.void, onEnd: () => Effect.void }

const nameOf = ({ backend, model }: PlannedPull): string => Output.plain(`${model} on ${backend}`)

const endOf = ({ failure, pull }: Ended): string =>
  failure === "" ? `pulled ${nameOf(pull)}` : `not pulled: ${nameOf(pull)}: ${Output.plain(failure)}`

const lines: Listener = {
  onBegin: (pull) => Console.log(`pulling ${nameOf(pull)} from ${Output.plain(pull.registry)}`),
  onEnd: (ended) => Console.log(endOf(ended)),
}

/** How far a pull is, in words. @category rendering @since 0.1.0 */
export const words = (pull: PlannedPull, { completed, total }: Progress): string => {
  const far = total === 0 ? "begins" : `${Math.floor(completed / total * 100)} % of ${Format.bytes(total)}`
  return `${nameOf(pull)}: ${far}`
}

const clear = "\r\x1b[K"

const animated: Effect.Effect<Listener, never, Scope.Scope | Terminal.Terminal> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const running = new Map<PlannedPull, () => Progress>()
  const show = (text: string) => Effect.ignore(terminal.display(text))
  const draw = Effect.gen(function* () {
    if (running.size === 0) return
    const columns = yield* terminal.columns
    const all = Array.from(running, ([pull, progress]) => words(pull, progress())).join("  |  ")
    yield* show(clear + cut(all, (columns > 0 ? columns : 80) - 1))
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(draw, Effect.sleep(drawEvery))))
  yield* Effect.addFinalizer(() => show(clear))
  return {
    onBegin: (pull, progress) => Effect.sync(() => void running.set(pull, progress)),
    onEnd: (ended) =>
      Effect.suspend(() => {
        running.delete(ended.pull)
        return Effect.andThen(show(clear), Console.log(endOf(ended)))
      }),
  }
})

/** As this terminal can show it. @category constructors @since 0.1.0 */
export const shown: Effect.Effect<Listener, never, Scope.Scope | Terminal.Terminal> = Effect.flatMap(
  TerminalCapabilities.TerminalCapabilities,
  ({ canAnimate }) => canAnimate ? animated : Effect.succeed(lines),
)
