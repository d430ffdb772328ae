import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as PluginFiles from "../../src/layers/PluginFiles.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"
import { demandFor, modelOn } from "../support/demands.ts"
import { run, runtimes } from "../support/processes.ts"
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
    ["has no default export", "export const plugin = 1", undefined, /has no default export/],
    ["exports something else", "export default 5", undefined, /must be a plugin.*got number/],
    [
      "has an unknown kind",
      `export default { kind: "gaurd", name: "x" }`,
      undefined,
      /kind must be one of .*guard.*"gaurd"/,
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
    ["gets wrong options", near, { zone: 5 }, /its options are wrong: .*zone/s],
    ["lacks an option", near, undefined, /its options are wrong: .*zone/s],
    ["gets an unknown option", near, { zone: "a", wieght: 1 }, /its options are wrong: .*wieght/s],
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

  it.effect("refuses a file that does not exist, and a second picker", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(PluginFiles.fromFiles([{ from: "./nowhere.ts" }], base))
      assert.match(error.message, /plugin \.\/nowhere\.ts: cannot be loaded/)
      const one = yield* file(`export default ${picker}`)
      const two = yield* file(`export default ${picker}`)
      const twice = yield* Effect.flip(PluginFiles.fromFiles([{ from: one }, { from: two }], base))
      assert.strictEqual(twice.message, `plugin ${two}: there is a picker already, from ${one}`)
    }).pipe(Effect.scoped))
})

describe("LLAMERO_PLUGINS", () => {
  for (const [runtime, command] of Object.entries(runtimes)) {
    it.live(
      `${runtime}: the server does not start with a broken plugin, and says which and why`,
      () =>
        Effect.gen(function* () {
          const from = yield* file(near)
          const path = join(`.plugins-${process.pid}`, from)
          const { printed, status } = yield* run([...command, "examples/server.ts"], {
            LLAMERO_PLUGINS: JSON.stringify([{ from: `./${path}`, options: { zone: 5 } }]),
            LLAMERO_PORT: "0",
          })
          assert.strictEqual(status, 1)
          assert.match(printed, /^llamero: plugin .*plugin-\d+\.ts: its options are wrong: .*zone/ms)
        }).pipe(Effect.scoped),
      30_000,
    )
  }
})
