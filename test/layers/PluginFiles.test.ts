import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as PluginFiles from "../../src/layers/PluginFiles.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import { demandFor, modelOn } from "../support/demands.ts"
import { prints, run, runtimes, start } from "../support/processes.ts"
import { fleetOf } from "../support/views.ts"

/** Inside the package, so that a file may import `llamero` by its name. */
const folder = resolve(import.meta.dirname, `../../.plugins-${process.pid}`)
const base = pathToFileURL(`${folder}/`).href
let count = 0

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A plugin file. Each has its own name, since a runtime loads a module only once. */
const file = (source: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const name = `plugin-${count++}.ts`
        mkdirSync(folder, { recursive: true })
        writeFileSync(join(folder, name), source)
        return name
      }),
      (name) => Effect.sync(() => rmSync(join(folder, name))),
    ),
    (name) => `./${name}`,
  )

const source = resolve(import.meta.dirname, "../../src/index.ts")
const near = `
import { Schema } from "effect"
import { PluginFile } from ${JSON.stringify(pathToFileURL(source).href)}
export default PluginFile.define({
  name: "near",
  options: Schema.Struct({ zone: Schema.String }),
  make: ({ zone }) => {
    if (zone === "moon") throw new Error("too far")
    return { kind: "scorer", name: "near", score: ({ backend }) => backend.id === zone ? 1 : 0 }
  }
})`
const guard = (name: string) => `{ kind: "guard", name: "${name}", check: (request) => ({ _tag: "Pass", request }) }`
const picker = `{ kind: "picker", name: "first", pick: () => 0 }`

describe("PluginFiles", () => {
  it.effect("loads a plugin, a list of plugins, and a plugin made from checked options, in the order of the files", () =>
    Effect.gen(function* () {
      const one = yield* file(`export default ${guard("one")}`)
      const more = yield* file(`export default [${guard("two")}, ${picker}]`)
      const made = yield* file(near)
      const plugins = yield* PluginFiles.fromFiles(
        [{ from: one }, { from: more }, { from: made, options: { zone: "b" }, weight: 3 }],
        base,
      )
      assert.deepStrictEqual(plugins.guards.map(({ name }) => name), ["one", "two"])
      const standard = StandardProfile.make()
      const profile = PluginFiles.extend(standard, plugins)
      assert.strictEqual(profile.picker.name, "first")
      assert.lengthOf(profile.scorers, standard.scorers.length + 1)
      const { scorer, weight } = profile.scorers.at(-1)!
      assert.strictEqual(weight, 3)
      const fleet = fleetOf(["a", "b"])
      const demand = demandFor(modelOn("m:latest", "a", "b"))
      assert.deepStrictEqual(fleet.backends.map((view) => scorer.score(view, demand, fleet)), [0, 1])
    }).pipe(Effect.scoped))

  it.effect("loads a definition and a plugin that are instances of classes, whose methods use this", () =>
    Effect.gen(function* () {
      const from = yield* file(`
import { Schema } from "effect"
import { PluginFile } from ${JSON.stringify(pathToFileURL(source).href)}
class Preferring {
  kind = "scorer"
  constructor(id) {
    this.name = id
  }
  score({ backend }) {
    return backend.id === this.name ? 1 : 0
  }
}
class Making {
  name = "preferring"
  options = Schema.Struct({})
  preferred = "b"
  make() {
    return new Preferring(this.preferred)
  }
}
export default PluginFile.define(new Making())`)
      const { scorers } = yield* PluginFiles.fromFiles([{ from }], base)
      const fleet = fleetOf(["a", "b"])
      const demand = demandFor(modelOn("m:latest", "a", "b"))
      const { scorer } = scorers[0]!
      assert.deepStrictEqual(fleet.backends.map((view) => scorer.score(view, demand, fleet)), [0, 1])
    }).pipe(Effect.scoped))

  const broken: ReadonlyArray<readonly [string, string, unknown, RegExp]> = [
    ["has a syntax error", "export default {", undefined, /cannot be loaded: /],
    ["throws", "throw new Error('not today')", undefined, /cannot be loaded: not today/],
    [
      "imports a package that is not there",
      `import "no-such-package/part"\nexport default 1`,
      undefined,
      /imports "no-such-package\/part", which is not found from \/.*: install it there, with npm install no-such-package$/,
    ],
    ["has no default export", "export const plugin = 1", undefined, /has no default export: it must export a plugin/],
    [
      "exports its plugin by name",
      `export const mine = ${guard("x")}`,
      undefined,
      /has no default export; did you mean export default mine\?$/,
    ],
    ["exports something else", "export default 5", undefined, /must be a plugin.*got a number$/],
    ["exports null", "export default null", undefined, /must be a plugin.*got null$/],
    ["exports a list of nothing", "export default []", undefined, /exports an empty list$/],
    ["exports lists in a list", `export default [[${guard("x")}]]`, undefined, /got a list$/],
    [
      "exports a function",
      `export default () => (${guard("x")})`,
      undefined,
      /got a function; a function that makes a plugin belongs in PluginFile\.define$/,
    ],
    [
      "has a misspelt function",
      `export default { kind: "scorer", name: "s", scores: () => 1 }`,
      undefined,
      /needs a function score; it has scores$/,
    ],
    [
      "has an unknown kind",
      `export default { kind: "gaurd", name: "x" }`,
      undefined,
      /kind must be one of .*guard.*"gaurd"; did you mean guard\?$/,
    ],
    ["has no name", `export default { kind: "filter", keep: () => true }`, undefined, /a filter needs a name/],
    [
      "has no function of its kind",
      `export default { kind: "scorer", name: "s" }`,
      undefined,
      /the scorer "s" needs a function score/,
    ],
    [
      "exports one good plugin and a bad one",
      `export default [${picker}, { kind: "plan", name: "p" }]`,
      undefined,
      /the plan "p" needs a function targets/,
    ],
    ["gets wrong options", near, { zone: 5 }, /its options are wrong: the option zone must be string$/],
    ["lacks an option", near, undefined, /its options are wrong: the option zone is missing$/],
    ["gets an unknown option", near, { zone: "a", wieght: 1 }, /the option wieght is unknown: the options are zone$/],
    [
      "gets a misspelt option",
      near,
      { zonne: "a" },
      /the option zonne is unknown: the options are zone; did you mean zone\?/,
    ],
    ["gets options that are none", near, "a", /its options are wrong: the options must be object/],
    ["cannot be made", near, { zone: "moon" }, /too far/],
    ["takes no options", `export default ${picker}`, { zone: 1 }, /takes no options/],
  ]
  for (const [what, source, options, why] of broken) {
    it.effect(`refuses a file that ${what}, and names it`, () =>
      Effect.gen(function* () {
        const good = yield* file(`export default ${guard("good")}`)
        const from = yield* file(source)
        const error = yield* Effect.flip(PluginFiles.fromFiles([{ from: good }, { from, options }], base))
        assert.strictEqual(error.file, from)
        assert.match(error.message, why)
        assert.isTrue(error.message.startsWith(`plugin ${from}: `))
      }).pipe(Effect.scoped))
  }

  it.effect("tells all wrong options at once, with what is allowed, also inside of others", () =>
    Effect.gen(function* () {
      const from = yield* file(`
import { Schema } from "effect"
import { PluginFile } from ${JSON.stringify(pathToFileURL(source).href)}
export default PluginFile.define({
  name: "many",
  options: Schema.Struct({ mode: Schema.Literals(["near", "far"]), limits: Schema.Struct({ most: Schema.Int }) }),
  make: () => ({ kind: "picker", name: "first", pick: () => 0 })
})`)
      const error = yield* Effect.flip(
        PluginFiles.fromFiles([{ from, options: { mode: "nera", limits: { most: 1.5, msot: 2 } } }], base),
      )
      assert.strictEqual(
        error.description,
        `its options are wrong: the option mode must be "near" or "far"; the option limits.msot is unknown: ` +
          "the options are most; did you mean most?; the option limits.most must be an integer",
      )
    }).pipe(Effect.scoped))

  it.effect("refuses a weight of a file without scorers", () =>
    Effect.gen(function* () {
      const from = yield* file(`export default ${guard("x")}`)
      const error = yield* Effect.flip(PluginFiles.fromFiles([{ from, weight: 2 }], base))
      assert.strictEqual(error.description, "has a weight, but no scorer that it could count for")
    }).pipe(Effect.scoped))

  it.effect("refuses a file that does not exist, and a second picker", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(PluginFiles.fromFiles([{ from: "./nowhere.ts" }], base))
      assert.match(error.message, /^plugin \.\/nowhere\.ts: there is no file \/.*\/nowhere\.ts$/)
      const one = yield* file(`export default ${picker}`)
      const two = yield* file(`export default ${picker}`)
      const twice = yield* Effect.flip(PluginFiles.fromFiles([{ from: one }, { from: two }], base))
      assert.strictEqual(twice.message, `plugin ${two}: there is a picker already, from ${one}`)
    }).pipe(Effect.scoped))
})

/** A folder outside the project, where packages of the project are not found. */
const outside = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = realpathSync(mkdtempSync(join(tmpdir(), "llamero-plugins-")))
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true })),
  )

describe("LLAMERO_PLUGINS", () => {
  for (const [runtime, command] of Object.entries(runtimes)) {
    it.live(`${runtime}: tells why files cannot be loaded, with file and line`, () =>
      Effect.gen(function* () {
        const syntax = "const a = 1\n\nconst b = {,}\nexport default b\n"
        const files: Readonly<Record<string, readonly [source: string, told: string]>> = {
          "a.ts": [syntax, "cannot be loaded: SyntaxError: .* \\(FOLDER/a\\.ts:3\\)"],
          "b.mjs": [syntax, "cannot be loaded: SyntaxError: .* \\(FOLDER/b\\.mjs:3\\)"],
          "c.ts": [`import "./d.ts"\nexport default 1`, "cannot be loaded: SyntaxError: .* \\(FOLDER/d\\.ts:2\\)"],
          "e.ts": ["\n\nthrow new Error('not today')", "cannot be loaded: not today \\(FOLDER/e\\.ts:3\\)"],
          "f.ts": ["export default nobody.knows", "cannot be loaded: nobody is not defined \\(FOLDER/f\\.ts:1\\)"],
          "g.ts": [`import "./nowhere.ts"\nexport default 1`, "imports FOLDER/nowhere\\.ts, and there is no such file"],
          "100% #1?.ts": ["export default 5", "its default export must be a plugin, .*; got a number"],
        }
        const sources = Object.entries(files).map(([name, [source]]) => [name, source] as const)
        const path = yield* outside({ ...Object.fromEntries(sources), "d.ts": "\nconst d = )\n" })
        const { printed, status } = yield* run([...command, "src/command/serve/server.ts"], {
          LLAMERO_PLUGINS: [...Object.keys(files), "missing.ts"].map((name) => `${path}/${name}`).join(),
          LLAMERO_PORT: "0",
        })
        assert.strictEqual(status, 1, printed)
        const lines = printed.trimEnd().split("\n").slice(1)
        assert.lengthOf(lines, Object.keys(files).length + 1, printed)
        for (const [at, [, told]] of Object.values(files).entries()) {
          const pattern = `^  LLAMERO_PLUGINS: plugin FOLDER/.*?: ${told}$`.replaceAll("FOLDER", path)
          assert.match(lines[at]!, new RegExp(pattern))
        }
        assert.include(lines.at(-1)!, `: there is no file ${path}/missing.ts`)
      }).pipe(Effect.scoped), 60_000)

    it.live(
      `${runtime}: the server does not start with a broken plugin, and says which and why`,
      () =>
        Effect.gen(function* () {
          const from = yield* file(near)
          const path = join(`.plugins-${process.pid}`, from)
          const { printed, status } = yield* run([...command, "src/command/serve/server.ts"], {
            LLAMERO_PLUGINS: JSON.stringify([{ from: `./${path}`, options: { zone: 5 } }]),
            LLAMERO_PORT: "0",
          })
          assert.strictEqual(status, 1)
          assert.match(printed, /^llamero: LLAMERO_PLUGINS: plugin .*plugin-\d+\.ts: its options are wrong: .*zone/ms)
        }).pipe(Effect.scoped),
      30_000,
    )
  }
})

describe("a plugin file outside the project, on Node", () => {
  it.live("is told how to reach effect and llamero, and that works", () =>
    Effect.gen(function* () {
      const path = yield* outside({
        "near.ts": `
import { Schema } from "effect"
import { PluginFile } from "llamero"
export default PluginFile.define({
  name: "near",
  options: Schema.Struct({ zone: Schema.String }),
  make: ({ zone }) => ({ kind: "scorer", name: "near", score: ({ backend }) => backend.id === zone ? 1 : 0 })
})`,
      })
      const plugins = JSON.stringify([{ from: `${path}/near.ts`, options: { zone: "a" } }])
      const env = { LLAMERO_PLUGINS: plugins, LLAMERO_PORT: "0" }
      // One package after the other: Node names the first one that it does not find.
      for (const name of ["effect", "llamero"]) {
        const { printed } = yield* run([...runtimes.node, "src/command/serve/server.ts"], env)
        const [, advice = ""] = /move the file into \S+, or link the package: (.*)$/m.exec(printed) ?? []
        assert.include(printed, `imports "${name}", which is not found from ${path}`)
        execSync(advice)
      }
      const running = yield* start([...runtimes.node, "src/command/serve/server.ts"], env)
      yield* prints(running, /listening on/)
    }).pipe(Effect.scoped), 60_000)
})
