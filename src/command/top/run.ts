/**
 * Runs `llamero top`: live on a terminal, one frame elsewhere.
 *
 * @since 0.1.0
 */
import { Clock, Config, Console, Duration, Effect, type Stdio, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import type { State } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import type { CommandFailed } from "../failed.ts"
import type { Asking } from "../flags.ts"
import * as Output from "../output.ts"
import * as Rates from "../state/rates.ts"
import { frame } from "./frame.ts"
import * as Glyphs from "./glyphs.ts"
import { render } from "./line.ts"
import { live } from "./live.ts"
import { sizeOf } from "./screen.ts"

/** Time between the two looks of one frame: a rate needs two. */
const lookEvery = Duration.seconds(1)

const stateOf = (to: Connection.Connection) => Connection.ask(to, (client) => client.state.state())

/** A locale names its characters: `de_DE.UTF-8`. Where none is set at all, the terminal is probably of today. */
const locale = Config.all(["LC_ALL", "LC_CTYPE", "LANG"].map((name) => Config.withDefault(Config.String(name), "")))
  .pipe(
    Config.map((names) => names.find((name) => name !== "") ?? ""),
  )

const glyphsFor = (isAscii: boolean) =>
  Effect.map(
    Effect.orElseSucceed(locale, () => ""),
    (name) => isAscii || (name !== "" && !/utf-?8/i.test(name)) ? Glyphs.ascii : Glyphs.unicode,
  )

const once = (to: Connection.Connection, first: State, glyphs: Glyphs.Glyphs) =>
  Effect.gen(function* () {
    const before = Rates.sampleOf(yield* Clock.currentTimeMillis, first)
    yield* Effect.sleep(lookEvery)
    const state = yield* stateOf(to)
    const now = yield* Clock.currentTimeMillis
    const history = Rates.add(Rates.add(Rates.empty, before), Rates.sampleOf(now, state))
    const { columns } = yield* Effect.flatMap(Terminal.Terminal, sizeOf)
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const lines = frame({ url: to.url, link: "live", state, history, now, keys: "", glyphs }, columns, Infinity)
    yield* Console.log(lines.map((line) => render(line, canColor)).join("\n"))
  })

/** @category models @since 0.1.0 */
export interface Input extends Asking {
  readonly ascii: boolean
  readonly once: boolean
}

/** @category calls @since 0.1.0 */
export const run = (
  { ascii, json, once: isOnce, ...to }: Input,
): Effect.Effect<void, CommandFailed, Stdio.Stdio | Terminal.Terminal> =>
  Effect.gen(function* () {
    const first = yield* stateOf(to)
    if (json) return yield* Output.print(true, first, () => "")
    const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const glyphs = yield* glyphsFor(ascii)
    if (isOnce || !canAnimate) return yield* once(to, first, glyphs)
    yield* Effect.scoped(live({ to, first, glyphs, canColor }))
  })
