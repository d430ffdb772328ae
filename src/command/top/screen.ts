/**
 * The screen of a terminal, drawn with the control sequences that all terminals of today know (ECMA-48 and xterm).
 *
 * @since 0.1.0
 */
import { Effect, type Scope, Terminal } from "effect"
import { type Line, render } from "./line.ts"

const enter = "\x1b[?1049h\x1b[?25l\x1b[2J"
const leave = "\x1b[0m\x1b[?25h\x1b[?1049l"

/** Marks of one picture: terminals that know them show it at once, others ignore them. */
const begin = "\x1b[?2026h\x1b[H"
const end = "\x1b[J\x1b[?2026l"

/** @category models @since 0.1.0 */
export interface Screen {
  /** The size now; 80 by 24 where the terminal does not tell it. */
  readonly size: Effect.Effect<Terminal.Size>
  /** Shows the lines in place of what was there. The same lines again are not sent. */
  readonly draw: (lines: ReadonlyArray<Line>, canColor: boolean) => Effect.Effect<void>
}

/** The size of a terminal; 80 by 24 where it does not tell it. @category accessors @since 0.1.0 */
export const sizeOf = (terminal: Terminal.Terminal): Effect.Effect<Terminal.Size> =>
  Effect.map(
    Effect.all([terminal.columns, terminal.rows]),
    ([columns, rows]) => columns > 0 && rows > 0 ? { columns, rows } : { columns: 80, rows: 24 },
  )

/**
 * Takes the alternate screen, without a cursor. When the scope closes, the terminal is as it was before.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Screen, never, Scope.Scope | Terminal.Terminal> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const send = (text: string) => Effect.ignore(terminal.display(text))
  yield* Effect.acquireRelease(send(enter), () => send(leave))
  let last = ""
  return {
    size: sizeOf(terminal),
    draw: (lines, canColor) =>
      Effect.suspend(() => {
        const text = lines.map((line) => `${render(line, canColor)}\x1b[K`).join("\r\n")
        if (text === last) return Effect.void
        last = text
        return send(begin + text + end)
      }),
  }
})
