import { assert, describe, it } from "@effect/vitest"
import { type Described, FleetModels, isRemote } from "../../../src/layers/catalog/fleetModels.ts"
import * as ModelName from "../../../src/services/ModelName.ts"
import type { TagsModel } from "../../../src/services/OllamaApi.ts"
import { tagsRow } from "../../support/fakeOllamaApi.ts"

const numbers = (seed: number) => {
  let state = seed
  return (below: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
}

/** All models of some lists, merged from the beginning. */
const whole = (lists: ReadonlyMap<string, ReadonlyArray<TagsModel>>, described: ReadonlyMap<string, Described>) => {
  const keys = new Set(Array.from(lists.values()).flat().map((row) => ModelName.canonical(row.model)))
  return Array.from(keys).sort().map((key) => {
    const owners = new Map<string, { digest: string; size: number }>()
    const capabilities = new Set<string>()
    const rows = Array.from(lists).flatMap(([id, all]) =>
      all.filter((row) => ModelName.canonical(row.model) === key).map((row) => ({ id, row }))
    )
    for (const { id, row } of rows) {
      owners.set(id, { digest: row.digest, size: row.size })
      const own = row.capabilities ?? described.get(row.digest)?.capabilities ?? []
      for (const each of own) capabilities.add(each)
    }
    const contexts = rows.map(({ row }) => row.details?.context_length ?? 0)
    return {
      key,
      owners: Array.from(owners),
      capabilities: Array.from(capabilities).sort(),
      remote: rows.every(({ row }) => isRemote(row)),
      contextTrained: Math.max(...contexts) || undefined,
    }
  })
}

const plain = (models: FleetModels) => models.models.map((model) => ({ ...model, owners: Array.from(model.owners) }))

const randomRows = (next: (below: number) => number): ReadonlyArray<TagsModel> =>
  Array.from({ length: next(5) }, () => {
    const name = ["a", "a:latest", "b:1b", "c:cloud", "d"][next(5)]!
    const { capabilities, ...row } = tagsRow(name, {
      digest: `${next(4)}`,
      size: next(2),
      ...(next(3) === 0 ? { details: { context_length: 100 * next(3) } as never } : {}),
    })
    return next(2) === 0 ? row : { ...row, capabilities: next(3) === 0 ? null : [...capabilities!, `${next(2)}`] }
  })

describe("FleetModels", () => {
  it("is what all lists merged from the beginning would be, whatever the history", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const next = numbers(seed)
      const models = new FleetModels()
      const lists = new Map<string, ReadonlyArray<TagsModel>>()
      for (let step = 0; step < 25; step++) {
        const before = models.models
        const [version, shown] = [models.version, JSON.stringify(plain(models))]
        const id = `b${next(4)}`
        const what = next(6)
        if (what < 3) {
          const rows = randomRows(next)
          lists.set(id, rows)
          models.list(id, rows)
          models.prune()
        } else if (what === 3) {
          lists.delete(id)
          models.remove(id)
        } else if (what === 4) {
          const digest = `${next(4)}`
          const listed = Array.from(lists.values()).flat().some((row) => row.digest === digest)
          if (listed) models.describe(digest, { blob: undefined, capabilities: [`described-${next(2)}`] })
        } else {
          const model = models.peek("a")
          if (model !== undefined && lists.has(id)) {
            lists.set(id, lists.get(id)!.filter((row) => ModelName.canonical(row.model) !== model.key))
            models.forget(id, model)
          }
        }
        const now = plain(models)
        assert.deepStrictEqual(now, whole(lists, models.described), `seed ${seed}, step ${step}`)
        const isChanged = JSON.stringify(now) !== shown
        if (isChanged) assert.isAbove(models.version, version, `seed ${seed}, step ${step}`)
        for (const model of models.models) {
          const same = before.find(({ key }) => key === model.key)
          if (
            same !== undefined &&
            JSON.stringify(Array.from(same.owners)) === JSON.stringify(Array.from(model.owners)) &&
            same.capabilities.join() === model.capabilities.join() && same.remote === model.remote &&
            same.contextTrained === model.contextTrained
          ) assert.strictEqual(model, same)
          assert.strictEqual(models.peek(model.key), model)
        }
      }
    }
  })

  it("forgets descriptions of manifests that no list names any more, and keeps one that came back", () => {
    const models = new FleetModels()
    const about: Described = { blob: "x", capabilities: [] }
    models.list("a", [tagsRow("m", { digest: "1" })])
    models.describe("1", about)
    models.list("a", [tagsRow("m", { digest: "2" })])
    models.list("b", [tagsRow("m", { digest: "1" })])
    models.prune()
    assert.isTrue(models.described.has("1"))
    models.remove("b")
    models.prune()
    assert.isFalse(models.described.has("1"))
  })

  it("reads each row a few times while a hundred backends are read, one after the other", () => {
    let reads = 0
    const counted = (name: string): TagsModel => {
      const row = tagsRow(name)
      return Object.defineProperty({ ...row }, "digest", { get: () => (reads++, row.digest), enumerable: true })
    }
    const models = new FleetModels()
    const names = Array.from({ length: 50 }, (_, i) => `m${i}:1b`)
    const readAll = () => {
      for (let i = 0; i < 100; i++) {
        models.list(`b${i}`, names.map(counted))
        models.prune()
      }
    }
    readAll()
    assert.strictEqual(models.models.length, 50)
    // Once for each list, and once when the models were asked for.
    assert.isBelow(reads, 100 * 50 * 10)
    reads = 0
    const { version } = models
    readAll()
    assert.strictEqual(models.version, version)
    assert.isAtMost(reads, 2 * 100 * 50)
  })
})
