/** The command `llamero` as a program: help, version, completions, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { version } from "../../../src/command/version.ts"
import { run, runtimes } from "../../support/processes.ts"

const root = resolve(import.meta.dirname, "../../..")
const manifest = (name: string) => JSON.parse(readFileSync(resolve(root, name), "utf8"))

const programs = {
  Node: [...runtimes.node, "src/command/main.ts"],
  Deno: [...runtimes.deno, "src/command/main.ts"],
}

for (const [name, program] of Object.entries(programs)) {
  describe(`llamero on ${name}`, () => {
    const llamero = (...args: ReadonlyArray<string>) => run([...program, ...args], { NO_COLOR: "1" })

    it.live("prints its version", () =>
      Effect.gen(function* () {
        const { printed, status } = yield* llamero("--version")
        assert.deepStrictEqual([status, printed], [0, `llamero v${version}\n`])
      }), 30_000)

    it.live(
      "without arguments, and with --help, lists its subcommands and its exit statuses",
      () =>
        Effect.gen(function* () {
          const none = yield* llamero()
          const help = yield* llamero("--help")
          assert.deepStrictEqual([none.status, help.status], [0, 0])
          assert.strictEqual(none.printed, help.printed)
          assert.match(help.printed, /Exit status: 0/)
          assert.match(help.printed, /^ {2}serve +Run the router$/m)
        }),
      30_000,
    )

    it.live("serve --help has a flag for each setting, with its default", () =>
      Effect.gen(function* () {
        const { printed, status } = yield* llamero("serve", "--help")
        assert.strictEqual(status, 0)
        assert.match(printed, /^ {2}--queue-capacity number +Requests waiting for one model \[128\]$/m)
        assert.match(printed, /^ {2}--fleet-file text .*; instead of --backends$/m)
        assert.match(printed, /^ {2}--vram /m)
        assert.match(printed, /^ {2}--admin-token .*the list of processes shows it/m)
      }), 30_000)

    it.live(
      "ends with 2 on a wrong command line, and tells in a line for each fault what was meant",
      () =>
        Effect.gen(function* () {
          const flag = yield* llamero("serve", "--prot", "8080", "--hegde")
          assert.strictEqual(flag.status, 2)
          assert.match(flag.printed, /^llamero: .*--prot.*did you mean --port\?$/m)
          assert.match(flag.printed, /^llamero: .*--hegde.*did you mean --hedge\?$/m)
          assert.match(flag.printed, /^try llamero serve --help$/m)
          const command = yield* llamero("sevre")
          assert.strictEqual(command.status, 2)
          assert.match(command.printed, /sevre.*did you mean serve\?$/m)
          const together = yield* llamero("serve", "--json")
          assert.deepStrictEqual([together.status, together.printed.split("\n")[0]], [
            2,
            "llamero: --json goes with --check",
          ])
        }),
      60_000,
    )

    it.live("prints completions for shells", () =>
      Effect.gen(function* () {
        for (const shell of ["bash", "zsh", "fish"]) {
          const { printed, status } = yield* llamero("--completions", shell)
          assert.strictEqual(status, 0)
          assert.match(printed, /queue-capacity/)
        }
      }), 60_000)
  })
}

describe("the version", () => {
  it("is that of the manifests", () => {
    assert.strictEqual(manifest("package.json").version, version)
    assert.strictEqual(manifest("deno.json").version, version)
  })
})
