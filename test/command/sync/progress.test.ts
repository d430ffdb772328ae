/** How pulls are shown on a terminal. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { TerminalCapabilities } from "effect/cli"
import * as Progress from "../../../src/command/sync/progress.ts"
import type { PlannedPull } from "../../../src/command/sync/plan.ts"
import { fakeTerminal } from "../../support/terminals.ts"

const pull = (model: string, backend: string): PlannedPull => ({
  model,
  backend,
  name: model,
  registry: "r",
  why: "missing",
})

describe("the progress of pulls", () => {
  it.effect("is one line that changes, no wider than the terminal, and is gone at the end", () =>
    Effect.gen(function* () {
      const terminal = yield* fakeTerminal(40)
      yield* Effect.scoped(Effect.gen(function* () {
        const listener = yield* Progress.shown
        const one = pull("llama3.1:8b", "gpu-1")
        let completed = 0
        yield* listener.onBegin(one, () => ({ completed, total: completed === 0 ? 0 : 1000 }))
        yield* TestClock.adjust("300 millis")
        assert.isTrue(terminal.written().endsWith("\r\x1b[Kllama3.1:8b on gpu-1: begins"))
        completed = 456
        yield* TestClock.adjust("300 millis")
        assert.isTrue(terminal.written().endsWith("\r\x1b[Kllama3.1:8b on gpu-1: 45 % of 1000 B"))
        yield* listener.onBegin(pull("a-model-with-a-long-name:70b", "gpu-2"), () => ({ completed: 1, total: 2 }))
        yield* TestClock.adjust("300 millis")
        const line = terminal.written().slice(terminal.written().lastIndexOf("\x1b[K") + 3)
        assert.isAtMost(line.length, 39)
        assert.isTrue(line.endsWith("…"))
      })).pipe(
        Effect.provide(terminal.layer),
        Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
          canAnimate: true,
          canColor: false,
          canPrompt: false,
        }),
      )
      assert.isTrue(terminal.written().endsWith("\r\x1b[K"))
    }))
})
