/** Counts the work of finding a key: hashes, comparisons, look-ups, iterations. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"

const work = vi.hoisted(() => ({ hashes: 0, comparisons: 0, gets: 0, walks: 0, entries: 0 }))

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>()
  return {
    ...crypto,
    hash: (...args: Parameters<typeof crypto.hash>) => {
      work.hashes++
      return crypto.hash(...args)
    },
    timingSafeEqual: (a: Uint8Array, b: Uint8Array) => {
      work.comparisons++
      return crypto.timingSafeEqual(a, b)
    },
  }
})

// Another test file may have loaded the module, without the counters, in this process.
vi.resetModules()
const Table = await import("../../../src/layers/keys/table.ts")

/** The operations on keys during one search. */
const counted = <A>(run: () => A): A => {
  const get = vi.spyOn(Map.prototype, "get")
  const walks = (["forEach", "entries", "keys", "values", Symbol.iterator] as const).map((name) =>
    vi.spyOn(Map.prototype, name)
  )
  Object.assign(work, { hashes: 0, comparisons: 0, gets: 0, walks: 0, entries: 0 })
  try {
    return run()
  } finally {
    work.gets = get.mock.calls.length
    work.walks = walks.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
    for (const spy of [get, ...walks]) spy.mockRestore()
  }
}

const tableOf = (size: number) => {
  const entries = Array.from({ length: size }, (_, i) => ({
    sha256: Table.hash(`key ${i}`),
    grant: { id: `k${i}`, tenant: "t" },
  }))
  // Another iteration over the list would be counted too.
  return Table.make(
    new Proxy(entries, {
      get: (target, name, receiver) => {
        work.entries++
        return Reflect.get(target, name, receiver)
      },
    }),
  )
}

describe("a key is found", () => {
  for (const size of [0, 1, 100, 10_000]) {
    it(`among ${size} with one hash, one look-up and one comparison, right or wrong`, () => {
      const { find } = tableOf(size)
      const keys = ["", "wrong", `key ${size}`, ...(size === 0 ? [] : ["key 0", `key ${size - 1}`])]
      for (const key of keys) {
        const found = counted(() => find(key))
        assert.strictEqual(found !== undefined, /^key \d+$/.test(key) && key !== `key ${size}`, key)
        assert.deepStrictEqual(work, { hashes: 1, comparisons: 1, gets: 1, walks: 0, entries: 0 }, key)
      }
    })
  }
})
