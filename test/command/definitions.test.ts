/** What the definitions of the commands say in their help, and that they load little: `llamero --help` is quick. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { root, run } from "../support/llamero.ts"

const src = resolve(import.meta.dirname, "../../src")

/** The files that a file loads at once, and those that they load; `import()` and types load nothing. */
const loaded = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  const text = readFileSync(join(src, file), "utf8")
  for (const [, path = ""] of text.matchAll(/^(?:import|export) (?!type\b)[^"'`;]*?from "(\.[^"]+)"/gm)) {
    loaded(join(dirname(file), path), seen)
  }
  return seen
}

const names = root.subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))

describe("the commands", () => {
  it("are these", () => {
    assert.deepStrictEqual(names, [
      ...["models", "ps", "backends", "queues", "decisions", "changes"],
      ...["drain", "undrain", "isolate", "load", "unload", "pin", "unpin", "prewarm", "reload", "log"],
      ...["top", "sync"],
    ])
  })

  it.effect.each(names)(
    "%s --help has words, flags, and examples that begin with its name",
    (name) =>
      Effect.gen(function* () {
        const { out, status } = yield* run(`${name} --help`)
        assert.strictEqual(status, 0)
        assert.match(out, /^DESCRIPTION\n {2}[A-Z]\S+ /)
        assert.match(out, /^ {2}--json +Print one JSON value, and nothing else$/m)
        assert.match(out, new RegExp(`^EXAMPLES\\n(?: {2}# .*\\n)? {2}llamero ${name}\\b`, "m"))
        if (name === "sync") return
        assert.match(out, /^ {2}--url URL +Where the router is; else LLAMERO_URL, else http:\/\/127\.0\.0\.1:11435$/m)
        assert.match(out, /^ {2}--token TOKEN +The admin token; better in LLAMERO_ADMIN_TOKEN/m)
      }),
  )

  it.each(["admin/reading.ts", "admin/changing.ts", "top/command.ts", "sync/command.ts"])(
    "%s loads none of the code behind it",
    (file) => {
      const found = [...loaded(join("command", file))].sort()
      assert.isAbove(found.length, 3)
      for (const one of found) assert.match(one, /^(command\/(?:\w+\/)?\w+|services\/\w+|wire\/\w+)\.ts$/)
      assert.notInclude(found, "command/connection.ts")
    },
  )
})
