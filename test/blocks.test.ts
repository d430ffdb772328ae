/** The check of the documentation's code blocks finds what is wrong. */
import { assert, describe, it } from "@effect/vitest"
import { resolve } from "node:path"
import { blocksOf, fault } from "./support/blocks.ts"

const root = resolve(import.meta.dirname!, "..")
const fence = "```"
const wrong = (language: string, text: string) => {
  const [block] = blocksOf(`first\n\n${fence}${language}\n${text}\n${fence}\n`)
  assert.strictEqual(block?.line, 3)
  return fault(block!, root, ["start", "bench:cold"])
}

describe("a block of code in a document", () => {
  it("is JSON where it says so", () => {
    assert.isUndefined(wrong("json", `{"a": [1]}`))
    assert.match(wrong("json", `{"a": [1,]}`) ?? "", /JSON/)
  })

  it("is YAML where it says so", () => {
    assert.isUndefined(wrong("yaml", "a: [1]"))
    assert.isDefined(wrong("yaml", "a: [1"))
  })

  it("calls scripts and files that exist", () => {
    assert.isUndefined(wrong("sh", "npm ci && npm start\nnpm run bench:cold\nnode src/command/serve/server.ts"))
    assert.strictEqual(wrong("sh", "npm run nothing"), "npm has no script nothing")
    assert.strictEqual(wrong("sh", "node examples/gone.ts"), "examples/gone.ts does not exist")
  })

  it("is in a language that somebody checks", () => {
    assert.isUndefined(wrong("nginx", "server {}"))
    assert.match(wrong("", "x") ?? "", /without a language/)
    assert.match(wrong("toml", "x = 1") ?? "", /toml/)
  })
})
