import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Lessons from "../../../../src/layers/memory/footprint/learn.ts"
import { type Footprint, shape } from "../../../../src/services/Footprint.ts"

const overhead = 605 * 1024 * 1024
const file = 4e9
const key: Lessons.LessonKey = {
  host: "a",
  version: "0.33.0",
  digest: "d",
  shape: shape({ context: 8192 }),
  gpus: ["g1", "g2"],
}
const estimated: Footprint = { parts: undefined, total: 10e9, margin: 3e8, reserve: 10.3e9, source: "estimated" }

const after = (observations: ReadonlyArray<readonly [size: number, sizeVram: number, freeDrop?: number]>, of = key) =>
  observations.reduce((lessons, [size, sizeVram, freeDrop]) => {
    const seen = Lessons.observed(of, { size, sizeVram, freeDrop }, file)
    return seen === undefined ? lessons : Lessons.learn(lessons, of, seen)
  }, Lessons.empty)

const learned = (observations: Parameters<typeof after>[0], of = key) =>
  Lessons.corrected(after(observations, of), of, estimated)

describe("learning", () => {
  it("the estimate holds until the first observation", () => {
    assert.strictEqual(Lessons.corrected(Lessons.empty, key, estimated), estimated)
    assert.isUndefined(Lessons.corrected(Lessons.empty, key, undefined))
  })
  it("lowers the footprint to the observation, the overhead and 2 %", () => {
    assert.deepInclude(learned([[6e9, 6e9]]), {
      total: 6e9 + overhead,
      reserve: 6e9 + overhead + Math.ceil((6e9 + overhead) * 0.02),
      source: "learned",
    })
    assert.strictEqual(Lessons.corrected(after([[6e9, 6e9]]), key, undefined)?.total, 6e9 + overhead)
  })
  it("the fall of free memory counts if it is more", () => {
    assert.strictEqual(learned([[6e9, 6e9, 9e9]])?.total, 9e9)
    assert.strictEqual(learned([[6e9, 6e9, 1e9]])?.total, 6e9 + overhead)
  })
  it("uses the largest of the last five observations", () => {
    const falling = [9e9, 8e9, 7e9, 6e9, 5e9].map((size) => [size, size] as const)
    assert.strictEqual(learned(falling)?.total, 9e9 + overhead)
    assert.strictEqual(learned([...falling, [5e9, 5e9]])?.total, 8e9 + overhead)
  })
  it("an observation above the reserved memory raises it at once, with or without an estimate", () => {
    assert.isAbove(learned([[12e9, 12e9]])!.reserve, 12e9)
    assert.isAbove(learned([[6e9, 6e9], [12e9, 12e9]])!.reserve, 12e9)
  })
  it("a spill may raise the footprint, but never lower it", () => {
    assert.strictEqual(learned([[6e9, 3e9]]), estimated)
    assert.strictEqual(learned([[11e9, 3e9]])?.total, 11e9 + overhead)
    assert.strictEqual(learned([[6e9, 6e9], [7e9, 3e9]])?.total, 7e9 + overhead)
    const many = Array.from({ length: 9 }, () => [5e9, 3e9] as const)
    assert.strictEqual(learned([[6e9, 6e9], ...many])?.total, 6e9 + overhead, "spills do not push out what is known")
  })
  it("a bare file size and a version that estimates do not lower it, unless free memory fell by as much", () => {
    assert.strictEqual(learned([[file, file]]), estimated)
    for (const version of ["0.29.9", "0.9.1", undefined]) {
      assert.strictEqual(learned([[6e9, 6e9]], { ...key, version }), estimated)
      assert.strictEqual(learned([[6e9, 6e9, 6.5e9]], { ...key, version })?.source, "learned")
      assert.strictEqual(learned([[12e9, 12e9]], { ...key, version })?.source, "learned")
    }
    for (const version of ["0.30.0", "v0.31.0-rc1", "1.0.0"]) {
      assert.strictEqual(learned([[6e9, 6e9]], { ...key, version })?.source, "learned")
    }
  })
  it("a model in system memory has not spilled", () => {
    const cpu = { ...key, shape: shape({ context: 8192, devices: 0 }) }
    assert.strictEqual(learned([[6e9, 0]], cpu)?.total, 6e9 + overhead)
  })
  it("ignores numbers that are not sizes", () => {
    for (const wrong of [[0, 0], [NaN, 1], [-1, -1], [1, Infinity]] as const) {
      assert.isUndefined(Lessons.observed(key, { size: wrong[0], sizeVram: wrong[1] }, file))
    }
  })
  it("holds for exactly one host, version, digest, shape and set of GPUs in any order", () => {
    const lessons = after([[6e9, 6e9]])
    const others: ReadonlyArray<Partial<Lessons.LessonKey>> = [
      { host: "b" },
      { version: "0.33.1" },
      { digest: "e" },
      { gpus: ["g1"] },
      { shape: shape({ context: 4096 }) },
      { shape: shape({ context: 8192, parallelism: 2 }) },
      { shape: shape({ context: 8192, kvType: "q8_0" }) },
    ]
    for (const other of others) {
      assert.strictEqual(Lessons.corrected(lessons, { ...key, ...other }, estimated), estimated)
    }
    assert.strictEqual(Lessons.corrected(lessons, { ...key, gpus: ["g2", "g1"] }, estimated)?.source, "learned")
  })
  it("is an immutable value of limited size", () => {
    const before = after([[6e9, 6e9]])
    Lessons.learn(before, key, { bytes: 1, trusted: true })
    assert.strictEqual(Lessons.corrected(before, key, estimated)?.total, 6e9 + overhead)
    let lessons = Lessons.empty
    for (let i = 0; i < 4200; i++) {
      lessons = Lessons.learn(lessons, { ...key, digest: String(i) }, { bytes: i + 1, trusted: true })
    }
    assert.strictEqual(lessons.seen.size, 4096)
  })

  const Bytes = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000_000_000 }))
  it.prop("is never below one of the last five observations", {
    seen: Schema.Array(Schema.Struct({ size: Bytes, vram: Bytes, drop: Bytes, old: Schema.Boolean })),
  }, ({ seen }) => {
    for (const version of ["0.33.0", "0.12.0"]) {
      const of = { ...key, version }
      let lessons = Lessons.empty
      const valid: Array<number> = []
      for (const { drop, size, vram } of seen) {
        const one = Lessons.observed(of, { size, sizeVram: vram, freeDrop: drop }, file)
        if (one === undefined) continue
        lessons = Lessons.learn(lessons, of, one)
        valid.push(vram)
        const now = Lessons.corrected(lessons, of, estimated)
        assert.isAtLeast(now?.reserve ?? 0, vram)
        for (const recent of valid.slice(-5)) assert.isAtLeast(now?.reserve ?? 0, recent)
      }
    }
  }, { arbitrary: { runs: 500, seed: "lessons" } })
})
