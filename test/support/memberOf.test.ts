import { assert, describe, it } from "@effect/vitest"
import { backend, type Member } from "../../src/services/Fleet.ts"
import { memberOf } from "../../src/support/memberOf.ts"

const membersOf = (ids: ReadonlyArray<string>, read: () => void): ReadonlyArray<Member> =>
  ids.map((id): Member => {
    const made = backend({ url: `http://${id}:11434`, id })
    return {
      state: "active",
      get backend() {
        read()
        return made
      },
    }
  })

describe("memberOf", () => {
  it("finds by id, and reads the members once", () => {
    let reads = 0
    const ids = Array.from({ length: 50 }, (_, i) => `b${i}`)
    const members = membersOf(ids, () => reads++)
    assert.strictEqual(memberOf(members, "b49"), members[49])
    const first = reads
    for (const id of ids) assert.isDefined(memberOf(members, id))
    assert.isUndefined(memberOf(members, "b50"))
    assert.strictEqual(reads, first)
    assert.isAtMost(first, 2 * ids.length)
  })

  it("looks again in another array", () => {
    const [one, other] = [membersOf(["a", "b"], () => {}), membersOf(["b", "c"], () => {})]
    assert.deepStrictEqual([memberOf(one, "a"), memberOf(other, "a")], [one[0], undefined])
    assert.deepStrictEqual([memberOf(one, "b"), memberOf(other, "b")], [one[1], other[0]])
  })
})
