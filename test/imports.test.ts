/** The rooms of the house: who may import whom, what a room keeps to itself, and that no imports go in a circle. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { barrel, isPublic, listed } from "../scripts/exports.ts"
import { circles, faults, type Tree } from "./support/rooms.ts"

const src = resolve(import.meta.dirname, "../src")

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

const specifiers = (text: string): ReadonlyArray<string> =>
  Array.from(
    text.matchAll(/^(?:import|export)\b[^"'`;]*?from "([^"]+)"|^import "([^"]+)"|import\("([^"]+)"\)/gm),
    (match) => match[1] ?? match[2] ?? match[3]!,
  )

const imports = (file: string): ReadonlyArray<string> => specifiers(readFileSync(join(src, file), "utf8"))

const target = (file: string, specifier: string): string => relative(src, resolve(dirname(join(src, file)), specifier))

const tree: Tree = new Map(
  files.map((file) => [file, imports(file).filter((one) => one.startsWith(".")).map((one) => target(file, one))]),
)

/** A file of a room with `layer`, or any public plugin. */
const isSwappable = (file: string): boolean =>
  isPublic(file) &&
  (file.startsWith("plugins/") || /^export const layer\b/m.test(readFileSync(join(src, file), "utf8")))

/** The tree with one more import. */
const planted = (file: string, to: string): Tree => new Map([...tree, [file, [...tree.get(file) ?? [], to]]])

describe("imports", () => {
  it("finds the files it judges", () => {
    assert.isAbove(files.length, 250)
    assert.include(tree.get("layers/Standard.ts")!, "services/Plugin.ts")
  })

  it("relative imports end in .ts and stay in src", () => {
    for (const file of files) {
      for (const specifier of imports(file)) {
        if (!specifier.startsWith(".")) assert.notMatch(specifier, /^(src|llamero)\b/)
        else assert.match(specifier, /\.ts$/, `${file}: ${specifier}`)
      }
      for (const to of tree.get(file)!) assert.isTrue(tree.has(to), `${file} imports ${to}`)
    }
  })

  it("go in the allowed direction, and reach no helper of another room", () => {
    assert.deepStrictEqual(faults(tree, isSwappable), [])
  })

  it("form no circle", () => {
    assert.deepStrictEqual(circles(tree), [])
  })

  it.each([
    ["services/Fleet.ts", "layers/fleet/StaticFleet.ts", "services may not import layers"],
    ["plugins/filters/FitsFilter.ts", "layers/leases/MemoryLeases.ts", "plugins may not import layers"],
    ["layers/admission/QueuelessAdmission.ts", "layers/admission/BoundedAdmission.ts", "another public file"],
    ["plugins/guards/AliasGuard.ts", "plugins/filters/FitsFilter.ts", "another public file"],
    ["wire/json.ts", "layers/router/guards.ts", "wire may not import layers"],
    ["support/bag.ts", "wire/json.ts", "support may not import wire"],
    ["layers/router/guards.ts", "simulated/SimulatedFleet.ts", "layers may not import simulated"],
    ["layers/router/guards.ts", "testing/requests.ts", "layers may not import testing"],
    ["layers/router/guards.ts", "layers/relay/outcomes.ts", "a helper of the room layers/relay"],
    ["layers/Standard.ts", "layers/relay/outcomes.ts", "a helper of the room layers/relay"],
    ["testing/requests.ts", "layers/relay/outcomes.ts", "a helper of the room layers/relay"],
    ["layers/memory/ledger/fit.ts", "layers/memory/residency/pins.ts", "a helper of the room layers/memory/residency"],
    ["layers/router/guards.ts", "layers/relay/WatchedRelay.ts", "in another room"],
    ["layers/routes/bearer.ts", "layers/routes/AdminRoutes.ts", "a helper may not import the public file"],
  ])("a planted import is found: %s -> %s", (file, to, why) => {
    assert.isTrue(tree.has(file) && tree.has(to))
    const found = faults(planted(file, to), isSwappable)
    assert.strictEqual(found.length, 1)
    assert.include(found[0]!, why)
  })

  it("a planted circle is found", () => {
    const [found = ""] = circles(planted("wire/json.ts", "wire/envelope.ts"))
    assert.include(found, "wire/json.ts")
    assert.include(found, "wire/envelope.ts")
  })

  it("only files named after Node import packages of Node", () => {
    // The command is a program for Node and Deno.
    const nodeOnly = files.filter((file) => !file.startsWith("command/")).filter((file) =>
      imports(file).some((specifier) => specifier === "undici" || specifier.startsWith("@effect/platform-node"))
    )
    assert.isAbove(nodeOnly.length, 0)
    for (const file of nodeOnly) assert.match(file, /\/Node\w+\.ts$/)
  })

  it("the barrel runs anywhere, and brings in neither the simulated Ollama nor the test kit", () => {
    const reached = new Set<string>()
    const visit = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      tree.get(file)!.forEach(visit)
    }
    visit("index.ts")
    assert.deepStrictEqual([...reached].filter((file) => /^(simulated|testing)\//.test(file)), [])
    const outside = new Set([...reached].flatMap(imports).filter((specifier) => !specifier.startsWith(".")))
    assert.sameMembers([...outside].filter((one) => !/^effect(\/|$)/.test(one)), ["node:crypto", "node:zlib"])
  })

  it("the test kit is for any test runner, and on its own", () => {
    const kit = files.filter((file) => file.startsWith("testing/"))
    assert.isAbove(kit.length, 10)
    const outside = new Set(kit.flatMap(imports).filter((specifier) => !specifier.startsWith(".")))
    assert.deepStrictEqual([...outside].filter((one) => !/^effect(\/|$)/.test(one)), ["node:assert/strict"])
  })

  it("exports are those that `npm run exports` makes, of public files only", () => {
    assert.strictEqual(readFileSync(join(src, "index.ts"), "utf8"), barrel())
    const exportsOf = (name: string) => JSON.parse(readFileSync(resolve(src, name), "utf8")).exports
    assert.deepStrictEqual(exportsOf("../package.json"), listed())
    assert.deepStrictEqual(exportsOf("../deno.json"), { "./command": "./src/command/main.ts", ...listed() })
    const paths = Object.values(listed())
    assert.isTrue(paths.every((path) => isPublic(path) || /\/index\.ts$/.test(path)))
  })
})
