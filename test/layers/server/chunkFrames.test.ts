import { assert, describe, it } from "@effect/vitest"
import type { Buffer } from "node:buffer"
import { framed, joined } from "../../../src/layers/server/chunkFrames.ts"
import { ChunkList } from "../../../src/support/chunkList.ts"

const list = (...chunks: ReadonlyArray<Uint8Array>) => {
  const made = new ChunkList()
  for (const chunk of chunks) made.add(chunk)
  return made
}
const bytes = (length: number, value = 0x61) => new Uint8Array(length).fill(value)
const text = (buffer: Buffer) => buffer.toString("latin1")

describe("chunkFrames", () => {
  it("writes each chunk in a frame of its own, with its length in hexadecimal digits", () => {
    for (const length of [1, 9, 10, 15, 16, 17, 159, 160, 255, 256, 4095, 4096, 65_535, 65_536, 1_048_577]) {
      const expected = `${length.toString(16)}\r\n${"a".repeat(length)}\r\n`
      assert.isTrue(text(framed(list(bytes(length)), false)) === expected, `${length} bytes`)
    }
    assert.strictEqual(
      text(framed(list(bytes(2), bytes(17, 0x62), bytes(1, 0x63)), false)),
      `2\r\naa\r\n11\r\n${"b".repeat(17)}\r\n1\r\nc\r\n`,
    )
  })

  it("ends a body with the last frame, also when no chunk is left", () => {
    assert.strictEqual(text(framed(list(bytes(3)), true)), "3\r\naaa\r\n0\r\n\r\n")
    assert.strictEqual(text(framed(list(), true)), "0\r\n\r\n")
  })

  it("joins chunks as they are, with every byte value", () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    assert.deepStrictEqual([...joined(list(all))], [...all])
    assert.deepStrictEqual([...joined(list(all, bytes(2), all))], [...all, 0x61, 0x61, ...all])
    assert.strictEqual(joined(list()).length, 0)
  })

  it("takes a chunk that is a part of a larger buffer", () => {
    const slice = new TextEncoder().encode("xxabcxx").subarray(2, 5)
    assert.strictEqual(text(joined(list(slice))), "abc")
    assert.strictEqual(text(framed(list(slice), false)), "3\r\nabc\r\n")
  })
})
