/** A terminal of a test: it takes what is written, and has keys and a size that the test sets. */
import { type Cause, Effect, Layer, Option, Queue, Stdio, Terminal } from "effect"

export interface Fake {
  readonly layer: Layer.Layer<Stdio.Stdio | Terminal.Terminal>
  /** Everything that was written. */
  readonly written: () => string
  /** The lines of the last picture, without colours. */
  readonly picture: () => ReadonlyArray<string>
  readonly press: (name: string, ctrl?: boolean) => void
  readonly resize: (columns: number, rows: number) => void
}

// deno-lint-ignore no-control-regex
const sequences = /\x1b\[[\d;?]*[a-zA-Z]/g

export const fakeTerminal = (columns = 80, rows = 24): Effect.Effect<Fake> =>
  Effect.gen(function* () {
    const size = { columns, rows }
    const keys = yield* Queue.make<Terminal.UserInput, Cause.Done>()
    const sizes = yield* Queue.make<Terminal.Size, Cause.Done>()
    let written = ""
    const terminal = Terminal.make({
      columns: Effect.sync(() => size.columns),
      rows: Effect.sync(() => size.rows),
      size: Effect.succeed(sizes),
      readInput: Effect.succeed(keys),
      readLine: Effect.never,
      display: (text) => Effect.sync(() => void (written += text)),
    })
    return {
      layer: Layer.merge(
        Layer.succeed(Terminal.Terminal, terminal),
        Stdio.layerTest({ stdinIsTerminal: Effect.succeed(true), stdoutIsTerminal: Effect.succeed(true) }),
      ),
      written: () => written,
      picture: () => {
        const last = written.slice(written.lastIndexOf("\x1b[H"))
        return last.replaceAll(sequences, "").split("\r\n")
      },
      press: (name, ctrl = false) =>
        void Queue.offerUnsafe(keys, { input: Option.some(name), key: { name, ctrl, meta: false, shift: false } }),
      resize: (columns, rows) => {
        Object.assign(size, { columns, rows })
        Queue.offerUnsafe(sizes, { columns, rows })
      },
    }
  })
