/** Compressed bodies, and bodies of web requests, within their limits. */
import { assert, describe, it } from "@effect/vitest"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { decode, isPlain } from "../../../src/layers/server/decode.ts"
import { readWebBody } from "../../../src/layers/server/webBody.ts"
import { bytes, text } from "../../wire/support.ts"

const shown = (result: Awaited<ReturnType<typeof decode>>) =>
  "_tag" in result ? [result.status, result.message] : text(result)

describe("a compressed body", () => {
  it.each([
    ["gzip", gzipSync],
    ["X-Gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
  ])("in %s is decoded", async (encoding, compress) => {
    assert.strictEqual(shown(await decode(encoding, compress(bytes("hello")), 5)), "hello")
  })

  it("is refused when it is too large once decoded, broken, or in an unknown encoding", async () => {
    const packed = gzipSync(bytes("hello!"))
    assert.deepStrictEqual(shown(await decode("gzip", packed, 5)), [413, "http: request body too large"])
    assert.deepStrictEqual(shown(await decode("gzip", bytes("hello"), 5)), [400, "cannot decode the gzip body"])
    assert.deepStrictEqual(shown(await decode("lzma", packed, 5)), [415, `unsupported content encoding "lzma"`])
  })

  it("is one whose encoding is not identity", () => {
    assert.deepStrictEqual([undefined, "", "identity", "Identity", "gzip"].map(isPlain), [
      true,
      true,
      true,
      true,
      false,
    ])
  })
})

describe("the body of a web request", () => {
  const request = (...chunks: ReadonlyArray<string>) => {
    let at = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const chunk = chunks[at++]
        if (chunk === undefined) controller.close()
        else if (chunk === "broken") controller.error(new Error("broken"))
        else controller.enqueue(bytes(chunk))
      },
    })
    return new Request("http://a/", { method: "POST", body, duplex: "half" } as RequestInit)
  }

  it("is read as a whole", async () => {
    assert.strictEqual(shown(await readWebBody(request("he", "llo"), 5, undefined)), "hello")
    assert.strictEqual(shown(await readWebBody(new Request("http://a/"), 5, undefined)), "")
  })

  it("is refused above the limit, by its declared length or by its bytes", async () => {
    const tooLarge = [413, "http: request body too large"]
    assert.deepStrictEqual(shown(await readWebBody(request("hello!"), 5, undefined)), tooLarge)
    assert.deepStrictEqual(shown(await readWebBody(request("he", "llo", "!"), 5, undefined)), tooLarge)
    assert.deepStrictEqual(shown(await readWebBody(request(), 5, "6")), tooLarge)
  })

  it("is refused when it ends too early", async () => {
    assert.deepStrictEqual(shown(await readWebBody(request("he", "broken"), 5, undefined)), [400, "unexpected EOF"])
  })
})
