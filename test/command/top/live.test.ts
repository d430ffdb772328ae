/** `llamero top` as it runs, on the terminal of a test, in front of the reference server. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Redacted } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { run as runTop } from "../../../src/command/top/run.ts"
import { run } from "../../support/llamero.ts"
import { llama31, mistral, serve, token } from "../../support/statusFleet.ts"
import { type Fake, fakeTerminal } from "../../support/terminals.ts"

const leave = "\x1b[?25h\x1b[?1049l"

const capable = { canColor: true, canAnimate: true, canPrompt: true }

const start = (url: string, terminal: Fake, as = token) =>
  runTop({ ascii: false, json: false, once: false, url, token: Option.some(Redacted.make(as)) }).pipe(
    Effect.provide(terminal.layer),
    Effect.provideService(TerminalCapabilities.TerminalCapabilities, capable),
    Effect.forkChild({ startImmediately: true }),
  )

/** Waits until the picture has what is looked for. */
const shows = Effect.fnUntraced(function* (terminal: Fake, pattern: RegExp) {
  for (let i = 0; i < 600; i++) {
    if (pattern.test(terminal.picture().join("\n"))) return
    yield* Effect.sleep("25 millis")
  }
  return assert.fail(`${pattern} is not shown:\n${terminal.picture().join("\n")}`)
})

describe("llamero top", () => {
  it.live("is live: a model that is loaded appears, and a drain; it fits after a resize; q ends it and gives the screen back", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 3 })
      const terminal = yield* fakeTerminal()
      const fiber = yield* start(router.url, terminal)
      yield* shows(terminal, /3 of 3 backends well/)
      assert.isTrue(terminal.written().startsWith("\x1b[?1049h\x1b[?25l"))
      assert.strictEqual(terminal.picture().length <= 24, true)
      const env = { LLAMERO_URL: router.url, LLAMERO_ADMIN_TOKEN: token }
      assert.strictEqual((yield* run(`load node-002 ${mistral.name} --wait`, env)).status, 0)
      yield* shows(terminal, new RegExp(`node-002 .*█+.* ${mistral.name}`))
      yield* run("drain node-003", env)
      yield* shows(terminal, /^node-003 +drained/m)
      terminal.resize(40, 12)
      yield* shows(terminal, /^node-003 +- /m)
      assert.isAtMost(terminal.picture().length, 12)
      assert.isTrue(terminal.picture().every((line) => line.length <= 40))
      terminal.press("x")
      terminal.press("q")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.isTrue(terminal.written().endsWith(leave))
    }))

  it.live.each([["c", true], ["d", true], ["escape", false]] as const)(
    "%s (with Ctrl: %s) ends it, too",
    ([key, ctrl]) =>
      Effect.gen(function* () {
        const router = yield* serve({ backends: 1 })
        const terminal = yield* fakeTerminal()
        const fiber = yield* start(router.url, terminal)
        yield* shows(terminal, /live/)
        terminal.press(key, ctrl)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
        assert.isTrue(terminal.written().endsWith(leave))
      }),
  )

  it.live("survives a restart of the router, and says so meanwhile", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 2 })
      const terminal = yield* fakeTerminal()
      const fiber = yield* start(router.url, terminal)
      yield* shows(terminal, /2 of 2 backends well/)
      yield* router.stop
      yield* shows(terminal, /reconnecting/)
      yield* serve({ backends: 4, port: router.port })
      yield* shows(terminal, /4 of 4 backends well/)
      yield* shows(terminal, / live /)
      terminal.press("q")
      yield* Fiber.await(fiber)
    }))

  it.live("a token that is no longer taken ends it with the reason, after the screen is given back", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const terminal = yield* fakeTerminal()
      const fiber = yield* start(router.url, terminal)
      yield* shows(terminal, / live /)
      yield* router.stop
      yield* shows(terminal, /reconnecting/)
      yield* serve({ backends: 1, port: router.port, env: { LLAMERO_ADMIN_TOKEN: "another-token-of-operators" } })
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), /does not take this token/)
      assert.isTrue(terminal.written().endsWith(leave))
    }))

  it.live("the screen is given back when the program is interrupted", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const terminal = yield* fakeTerminal()
      const fiber = yield* start(router.url, terminal)
      yield* shows(terminal, / live /)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(terminal.written().endsWith(leave))
    }))

  it.live("asks for the state at intervals where too many others follow the events", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const aborts = new AbortController()
      yield* Effect.addFinalizer(() => Effect.sync(() => aborts.abort()))
      const headers = { authorization: `Bearer ${token}` }
      const followers = Array.from({ length: 64 }, () =>
        fetch(`${router.url}/admin/events`, { headers, signal: aborts.signal }).then(({ status }) => status))
      const statuses = yield* Effect.promise(() =>
        Promise.all(followers)
      )
      assert.deepStrictEqual(new Set(statuses), new Set([200]))
      const terminal = yield* fakeTerminal()
      const fiber = yield* start(router.url, terminal)
      yield* shows(terminal, / polling /)
      yield* run("drain node-001", { LLAMERO_URL: router.url, LLAMERO_ADMIN_TOKEN: token })
      yield* shows(terminal, /^node-001 +drained/m)
      terminal.press("q")
      yield* Fiber.await(fiber)
    }))
})

describe("llamero top without a terminal", () => {
  it.live("prints one frame, with rates, and ends; --json prints the state", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 3 })
      const env = { LLAMERO_URL: router.url, LLAMERO_ADMIN_TOKEN: token }
      const chat = fetch(`${router.url}/api/generate`, {
        method: "POST",
        body: JSON.stringify({ model: llama31.name, prompt: "Why?" }),
      }).then((answer) => answer.text())
      const [ran] = yield* Effect.all([run("top", env), Effect.promise(() => chat)], { concurrency: 2 })
      assert.strictEqual(ran.status, 0)
      assert.match(ran.out, /^llamero http:\/\/127\.0\.0\.1:\d+ +live {2}\d\d:\d\d:\d\d$/m)
      assert.strictEqual(ran.out.split("\n").filter((line) => /^node-\d+ /.test(line)).length, 3)
      assert.notInclude(ran.out, "\x1b")
      const ascii = yield* run("top --once --ascii", env)
      assert.match(ascii.out, /^[\x20-\x7e\n]+$/)
      const locale = yield* run("top --once", { ...env, LANG: "C" })
      assert.match(locale.out, /^[\x20-\x7e\n]+$/)
      const { json } = yield* run("top --json", env)
      assert.includeMembers(Object.keys(json), [
        "at",
        "router",
        "traffic",
        "backends",
        "devices",
        "queues",
        "breakers",
        "prewarm",
      ])
    }))
})
