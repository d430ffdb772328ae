/**
 * `llamero top` on a terminal: live, until a key ends it.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Exit, Option, Queue, type Scope, Stdio, Terminal } from "effect"
import type { State } from "../../layers/routes/AdminApi.ts"
import type { Connection } from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import * as Rates from "../state/rates.ts"
import { follow } from "./follow.ts"
import { frame } from "./frame.ts"
import type { Glyphs } from "./glyphs.ts"
import * as Screen from "./screen.ts"
import type { View } from "./view.ts"

/** Least time between two pictures. */
const drawEvery = Duration.millis(100)

const ends = ({ input, key }: Terminal.UserInput): boolean =>
  key.name === "q" || key.name === "escape" || (key.ctrl && (key.name === "c" || key.name === "d")) ||
  Option.getOrElse(input, () => "") === "q"

/** Completes when somebody presses a key that ends it. */
const quit: Effect.Effect<void, never, Scope.Scope | Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const { stdinIsTerminal } = yield* Stdio.Stdio
  // Something else than a keyboard: it would end at once, and nobody has asked for that.
  if (!(yield* stdinIsTerminal)) return yield* Effect.never
  const keys = yield* terminal.readInput
  while (true) {
    const key = yield* Effect.exit(Queue.take(keys))
    if (Exit.isFailure(key) || ends(key.value)) return
  }
})

/** @category models @since 0.1.0 */
export interface Options {
  readonly to: Connection
  /** The state that was read before, which shows that the router answers. */
  readonly first: State
  readonly glyphs: Glyphs
  readonly canColor: boolean
}

/**
 * Shows the state until a key ends it. Fails when the router does not take the token any more.
 *
 * @category calls
 * @since 0.1.0
 */
export const live = (
  { canColor, first, glyphs, to }: Options,
): Effect.Effect<void, CommandFailed, Scope.Scope | Stdio.Stdio | Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const wake = yield* Queue.sliding<void>(1)
    const now = Clock.currentTimeMillis
    let view: View = {
      url: to.url,
      link: "live",
      state: first,
      history: Rates.empty,
      now: yield* now,
      keys: "q quits",
      glyphs,
    }
    const change = (fields: Partial<View>) =>
      Effect.suspend(() => {
        view = { ...view, ...fields }
        return Effect.asVoid(Queue.offer(wake, undefined))
      })
    const tick = Effect.flatMap(now, (at) => {
      const sample = view.link === "reconnecting" ? undefined : Rates.sampleOf(at, view.state)
      return change({ now: at, history: Rates.add(view.history, sample) })
    })
    const sizes = yield* terminal.size
    const screen = yield* Screen.make
    const draw = Effect.gen(function* () {
      yield* Queue.take(wake)
      const { columns, rows } = yield* screen.size
      yield* screen.draw(frame(view, columns, rows), canColor)
      yield* Effect.sleep(drawEvery)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(tick, Effect.sleep(Duration.seconds(1)))))
    yield* Effect.forkScoped(Effect.forever(draw))
    yield* Effect.forkScoped(Effect.ignore(Effect.forever(Effect.andThen(Queue.take(sizes), change({})))))
    const followed = follow(to, { onLink: (link) => change({ link }), onState: (state) => change({ state }) })
    yield* Effect.raceFirst(quit, followed)
  })
