/** The file that the router serves is the one that `page/` gives, and small. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { made, target } from "../../scripts/page.ts"

describe("the files of the status page", () => {
  it("are made from page/: run `npm run page` after a change there", async () => {
    assert.isTrue(readFileSync(target, "utf8") === await made(), "src/layers/routes/page/files.ts is stale")
  })

  it("have at most 25 KiB, compressed", () => {
    assert.isBelow(gzipSync(readFileSync(target)).length, 25 * 1024)
  })

  it("set no HTML from a text, have no inline script, and name no other server", () => {
    const text = readFileSync(target, "utf8")
    assert.notMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/)
    assert.notMatch(text, /<script(?![^>]*src=)[^>]*>|<style|\son\w+=\\?["'][^"']*\(/)
    assert.deepStrictEqual(Array.from(text.matchAll(/https?:\/\/[\w.]+/g), ([url]) => url), ["http://www.w3.org"])
  })
})
