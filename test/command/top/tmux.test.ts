/** `llamero top` as a program in a real terminal: tmux draws it, takes keys, and is resized. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { runtimes } from "../../support/processes.ts"
import { mistral, serve, token } from "../../support/statusFleet.ts"
import * as Tree from "../../support/tree.ts"

const program = resolve(import.meta.dirname, "../../../src/command/main.ts")
const hasTmux = spawnSync("tmux", ["-V"]).status === 0
const absent = !hasTmux ? "there is no tmux here" : !existsSync(program) ? "there is no program llamero" : undefined
if (absent !== undefined) console.log(`llamero top is not tested in a terminal: ${absent}`)

/** A terminal of tmux, with a server and a socket of its own. */
const terminal = (columns: number, rows: number, env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const folder = yield* Tree.scoped({})
    const tmux = (...args: ReadonlyArray<string>): string =>
      execFileSync("tmux", ["-S", join(folder, "socket"), ...args], { encoding: "utf8" })
    const variables = Object.entries({ ...env, LC_ALL: "C.UTF-8" }).flatMap((
      [name, value],
    ) => ["-e", `${name}=${value}`])
    const size = ["-x", String(columns), "-y", String(rows)]
    yield* Effect.acquireRelease(
      Effect.sync(() => tmux("-f", "/dev/null", "-u", "new-session", "-d", ...size, ...variables, "sh")),
      () => Effect.sync(() => spawnSync("tmux", ["-S", join(folder, "socket"), "kill-server"])),
    )
    const screen = (): string => tmux("capture-pane", "-p")
    return {
      screen,
      type: (text: string) => tmux("send-keys", "-l", text),
      key: (name: string) => tmux("send-keys", name),
      resize: (columns: number, rows: number) => tmux("resize-window", "-x", String(columns), "-y", String(rows)),
      shows: Effect.fnUntraced(function* (pattern: RegExp) {
        for (let i = 0; i < 400; i++) {
          if (pattern.test(screen())) return
          yield* Effect.sleep("50 millis")
        }
        return assert.fail(`${pattern} is not shown:\n${screen()}`)
      }),
    }
  })

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live.skipIf(absent !== undefined)(name, () => Effect.scoped(body()), 120_000)

describe("llamero top in a terminal", () => {
  test("draws, follows a resize, survives a restart of the router, and gives the terminal back on q and on Ctrl-C", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 3 })
      const { key, resize, screen, shows, type } = yield* terminal(80, 24, {
        LLAMERO_URL: router.url,
        LLAMERO_ADMIN_TOKEN: token,
      })
      const command = [...runtimes.node, program, "top"].join(" ")
      yield* shows(/^[#$]\s*$/m)
      type("PS1='ready> '\n")
      yield* shows(/^ready>\s*$/m)
      for (const end of ["q", "C-c"]) {
        type(`clear; echo before; ${command}\n`)
        yield* shows(/^llamero http:\/\/127\.0\.0\.1:\d+ +live +\d\d:\d\d:\d\d +q quits$/m)
        yield* shows(/^node-001 +healthy +0\/8 ·+ +0\.0\/80\.0 GiB/m)
        assert.notInclude(screen(), "before")
        resize(40, 15)
        yield* shows(/^node-001 +0\/8 ·+/m)
        assert.isTrue(screen().trimEnd().split("\n").every((line) => line.length <= 40))
        resize(80, 24)
        key(end)
        yield* shows(/^before$[^]*ready>\s*$/m)
      }
      type(`clear; ${command}; echo status $?\n`)
      yield* shows(/ live /)
      yield* router.stop
      yield* shows(/ reconnecting /)
      yield* serve({ backends: 2, port: router.port, models: [mistral] })
      yield* shows(/2 of 2 backends well/)
      key("q")
      yield* shows(/^status 0$/m)
    }))
})
