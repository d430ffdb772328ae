/** The house's import rule: services import neither layers nor plugins, layers and plugins import services and their own helpers. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

const src = resolve(import.meta.dirname, "../src")

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

const imports = (file: string): ReadonlyArray<string> =>
  Array.from(
    readFileSync(join(src, file), "utf8").matchAll(
      /^(?:import|export)\b[^"'`;]*?from "([^"]+)"|^import "([^"]+)"|import\("([^"]+)"\)/gm,
    ),
    (match) => match[1] ?? match[2] ?? match[3]!,
  )

/** The folder of `src` that a relative import leads to, and the file's place in it. */
const target = (file: string, specifier: string): string => relative(src, resolve(dirname(join(src, file)), specifier))

const folder = (file: string): string => file.includes("/") ? file.slice(0, file.indexOf("/")) : ""

/** Puts the routes together; the simulated faces share one simulated fleet, which is their technology. */
const assembles = ["layers/OllamaApp.ts"]
const isSimulated = (file: string): boolean => file.startsWith("layers/Simulated")

const isLayer = (file: string): boolean => /^export const layer\b/m.test(readFileSync(join(src, file), "utf8"))

/** May see everything: the barrel, the default stack, and the test kit, which nothing else may see. */
const seesAll = (file: string): boolean =>
  ["index.ts", "layers/Standard.ts"].includes(file) || folder(file) === "testing"

describe("imports", () => {
  it("finds the files it judges", () => {
    assert.isAbove(files.length, 50)
    assert.include(imports("layers/Standard.ts"), "../services/Fleet.ts")
  })

  for (const file of files) {
    it(file, () => {
      for (const specifier of imports(file)) {
        if (!specifier.startsWith(".")) {
          assert.notMatch(specifier, /^(src|llamero)\b/)
          continue
        }
        assert.match(specifier, /\.ts$/, `${specifier}: relative imports end in .ts`)
        const to = target(file, specifier)
        assert.isFalse(to.startsWith(".."), `${file} imports ${specifier}, outside src`)
        const from = folder(file)
        const into = folder(to)
        if (into === "testing") assert.strictEqual(from, "testing", `${file} imports ${to}`)
        if (seesAll(file)) continue
        if (from === "services") assert.strictEqual(into, "services", `${file} imports ${to}`)
        else assert.include([from, "services"], into, `${file} imports ${to}`)
        // A layer is swappable only if no other layer knows it.
        if (from === "layers" && !assembles.includes(file) && !isSimulated(file)) {
          assert.isFalse(isLayer(to), `${file} imports the layer ${to}`)
        }
      }
    })
  }

  it("only the Node entries import node-only packages", () => {
    const nodeOnly = files.filter((file) =>
      imports(file).some((specifier) => specifier === "undici" || specifier.startsWith("@effect/platform-node"))
    )
    for (const file of nodeOnly) assert.match(file, /^layers\/Node/)
  })

  it("the barrel runs anywhere: nothing it reaches needs Node", () => {
    const reached = new Set<string>()
    const visit = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      for (const specifier of imports(file)) if (specifier.startsWith(".")) visit(target(file, specifier))
    }
    visit("index.ts")
    const outside = new Set([...reached].flatMap(imports).filter((specifier) => !specifier.startsWith(".")))
    assert.sameMembers([...outside].filter((one) => !/^effect(\/|$)/.test(one)), ["node:crypto", "node:zlib"])
  })

  it("the test kit is for any test runner, and on its own", () => {
    const kit = files.filter((file) => folder(file) === "testing")
    assert.isAbove(kit.length, 10)
    const outside = new Set(kit.flatMap(imports).filter((specifier) => !specifier.startsWith(".")))
    assert.deepStrictEqual([...outside].filter((one) => !/^effect(\/|$)/.test(one)), ["node:assert/strict"])
    for (const file of ["../deno.json", "../package.json"]) {
      const { exports } = JSON.parse(readFileSync(resolve(src, file), "utf8"))
      assert.strictEqual(exports["./testing"], "./src/testing/index.ts")
    }
  })

  it("deno.json exports what package.json does by pattern: every service, layer and plugin", () => {
    const { exports } = JSON.parse(readFileSync(resolve(src, "../deno.json"), "utf8"))
    const wanted = files.filter((file) => /^(services|layers|plugins)\/[^/]+$/.test(file))
    const listed = Object.keys(exports).filter((name) => /^\.\/(services|layers|plugins)\//.test(name))
    assert.sameMembers(listed, wanted.map((file) => `./${file.replace(/\.ts$/, "")}`), "npm run exports")
    for (const name of listed) assert.strictEqual(exports[name], `./src${name.slice(1)}.ts`)
  })
})
