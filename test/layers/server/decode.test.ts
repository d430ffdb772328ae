/** Compressed bodies, and bodies of web requests, within their limits. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { isPlain, make } from "../../../src/layers/server/decode.ts"
import { Held, uploads } from "../../../src/layers/server/held.ts"
import { readWebBody } from "../../../src/layers/server/webBody.ts"
import { type Refusal, refuse } from "../../../src/services/Refusal.ts"
import { bytes, text } from "../../wire/support.ts"

const decoder = make()
const none = () => undefined
const decode = (
  encoding: string,
  body: Uint8Array,
  limit: number,
  hold: (bytes: number) => Refusal | undefined = none,
) => Effect.runPromise(decoder(encoding, body, { limit, hold }))
const fresh = () => new Held(uploads(1000, undefined))

const shown = (result: Uint8Array | Refusal) => "_tag" in result ? [result.status, result.message] : text(result)

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

  const mib = 1024 * 1024
  const zeros = Buffer.alloc(64 * mib)
  it.each([
    ["gzip", gzipSync(zeros)],
    ["deflate", deflateSync(zeros)],
    ["br", brotliCompressSync(zeros)],
    ["zstd", zstdCompressSync(zeros)],
  ])("in %s is counted while it is decoded, and goes on no further than it may", async (encoding, body) => {
    const full = refuse("QueueFull", "full")
    const counted: Array<number> = []
    let bytes = 0
    const refused = await decode(encoding, body, 64 * mib, (more) => {
      counted.push(more)
      return (bytes += more) > mib ? full : undefined
    })
    assert.strictEqual(refused, full)
    assert.isAbove(counted.length, 4)
    assert.isAtMost(bytes, mib + 128 * 1024)
    // The limit of one body comes in the same way.
    bytes = 0
    const large = await decode(encoding, body, mib, (more) => ((bytes += more), undefined))
    assert.deepStrictEqual(shown(large), [413, "http: request body too large"])
    assert.isAtMost(bytes, mib)
  })

  it("in zstd may not have a larger window than Ollama takes", async () => {
    // The head of a frame: window of 2^27 bytes, no content size. Then one block of a byte, repeated.
    const head = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3]
    const block = (1000 << 3) | (1 << 1) | 1
    const frame = (window: number) =>
      Uint8Array.from([...head.slice(0, 5), window, block & 255, (block >> 8) & 255, block >> 16, 0x61])
    assert.deepStrictEqual(shown(await decode("zstd", frame((27 - 10) << 3), 2000)), [
      400,
      "cannot decode the zstd body",
    ])
    assert.strictEqual(shown(await decode("zstd", frame((23 - 10) << 3), 2000)), "a".repeat(1000))
  })

  it("is decoded with few others at one time, and stops when its client leaves", async () => {
    const body = gzipSync(zeros)
    let most = 0
    let under = 0
    const bodies = Array.from({ length: 12 }, () => {
      let started = false
      return Effect.runFork(
        Effect.onExit(
          decoder("gzip", body, {
            limit: 64 * mib,
            hold: () => {
              if (!started) most = Math.max(most, ++under)
              started = true
              return undefined
            },
          }),
          () => Effect.sync(() => started && under--),
        ),
      )
    })
    await Effect.runPromise(Fiber.await(bodies[0]!))
    await Promise.all(bodies.map((fiber) => Effect.runPromise(Fiber.interrupt(fiber))))
    assert.isAtMost(most, 4)
    assert.strictEqual(under, 0)
    assert.strictEqual(shown(await decode("gzip", gzipSync(bytes("next")), 5)), "next")
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
    assert.strictEqual(shown(await readWebBody(request("he", "llo"), 5, undefined, fresh())), "hello")
    assert.strictEqual(shown(await readWebBody(new Request("http://a/"), 5, undefined, fresh())), "")
  })

  it("is refused above the limit, by its declared length or by its bytes", async () => {
    const tooLarge = [413, "http: request body too large"]
    assert.deepStrictEqual(shown(await readWebBody(request("hello!"), 5, undefined, fresh())), tooLarge)
    assert.deepStrictEqual(shown(await readWebBody(request("he", "llo", "!"), 5, undefined, fresh())), tooLarge)
    assert.deepStrictEqual(shown(await readWebBody(request(), 5, "6", fresh())), tooLarge)
  })

  it("is refused when it ends too early", async () => {
    assert.deepStrictEqual(shown(await readWebBody(request("he", "broken"), 5, undefined, fresh())), [
      400,
      "unexpected EOF",
    ])
  })
})
