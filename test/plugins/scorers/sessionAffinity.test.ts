import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ProfilePlacement from "../../../src/layers/placement/ProfilePlacement.ts"
import * as MaxScorePicker from "../../../src/plugins/pickers/MaxScorePicker.ts"
import * as SessionAffinity from "../../../src/plugins/scorers/SessionAffinity.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { Placement } from "../../../src/services/Placement.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { request } from "../../support/routers.ts"
import { fleetOf, viewOf } from "../../support/views.ts"

const ids = ["a", "b", "c", "d", "e", "f", "g", "h"]
const model = modelOn("m:latest", ...ids)
const affinity = SessionAffinity.make()
const profile = {
  name: "sessions",
  filters: [],
  scorers: [{ scorer: affinity.scorer, weight: 1 }],
  picker: MaxScorePicker.make(),
}

/** The session that the guard reads from a chat. */
const sessionOf = (body: object, headers: ReadonlyArray<string> = []) => {
  const verdict = affinity.guard.check({ ...request("/api/chat", body), headers })
  return Effect.isEffect(verdict) || verdict._tag !== "Pass" ? undefined : verdict.request.session
}
const session = (name: string) => sessionOf({ model: "m" }, ["X-Session-ID", name])
const user = (content: string) => ({ role: "user", content })

/** The ranking of backends for each of many sessions, with one request at a time. */
const homes = (on: ReadonlyArray<string>, sessions: number) =>
  Effect.gen(function* () {
    const placement = yield* Placement
    const fleet = fleetOf(on)
    return Array.from({ length: sessions }, (_, i) => {
      const demand = demandFor(model, { session: session(`s${i}`) })
      return ProfilePlacement.order(placement.rank(demand, fleet))
    })
  })

describe("SessionAffinity", () => {
  it.effect("when one of 8 backends is removed, only its sessions move, each to its second choice", () =>
    Effect.gen(function* () {
      const before = yield* homes(ids, 1000)
      const after = yield* homes(ids.filter((id) => id !== "c"), 1000)
      let moved = 0
      before.forEach(([home, second], i) => {
        if (home === "c") moved++
        assert.strictEqual(after[i]![0], home === "c" ? second : home)
      })
      // One eighth of 1,000, within five standard deviations.
      assert.isAbove(moved, 72)
      assert.isBelow(moved, 178)
    }).pipe(Effect.provide(ProfilePlacement.layer(profile))))

  it.effect("ranks a session for two fleets in turn, each by its own backends", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const fleets = [ids, ids.filter((id) => id !== "c")].map((on) => fleetOf(on))
      const wanted = [yield* homes(ids, 50), yield* homes(ids.filter((id) => id !== "c"), 50)]
      for (let i = 0; i < 50; i++) {
        const demand = demandFor(model, { session: session(`s${i}`) })
        for (const [at, fleet] of fleets.entries()) {
          assert.deepStrictEqual(ProfilePlacement.order(placement.rank(demand, fleet)), wanted[at]![i])
        }
      }
    }).pipe(Effect.provide(ProfilePlacement.layer(profile))))

  it.effect("never gives a backend more than 125 % of its share by weight, rounded up", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const weights = [1, 1, 1, 1, 1, 1, 1, 3]
      const streams = ids.map(() => 0)
      const fleet = fleetOf(ids.map((id, i) => ({
        ...viewOf(id, { backend: backend({ url: `http://${id}:11434`, id, weight: weights[i]! }) }),
        get streams() {
          return streams[i]!
        },
      })))
      const eager = new Set<string>()
      // Sessions that stay open, and one that sends every third request.
      for (let i = 1; i <= 1000; i++) {
        const demand = demandFor(model, { session: session(i % 3 === 0 ? "eager" : `s${i}`) })
        const [first] = ProfilePlacement.order(placement.rank(demand, fleet))
        const at = ids.indexOf(first!)
        streams[at] = streams[at]! + 1
        assert.isAtMost(streams[at]!, Math.ceil(1.25 * i * weights[at]! / 10), `after ${i}`)
        if (i % 3 === 0) eager.add(first!)
      }
      // They are too many for one backend, so some of them got another choice than the first.
      assert.isAbove(eager.size, 1)
    }).pipe(Effect.provide(ProfilePlacement.layer(profile))))

  it.effect("moves the running sessions of a removed backend within the bound, and no other session", () =>
    Effect.gen(function* () {
      const placement = yield* Placement
      const streams = new Map(ids.map((id) => [id, 0]))
      const fleets = [ids, ids.filter((id) => id !== "c")].map((on) =>
        fleetOf(on.map((id) => ({
          ...viewOf(id),
          get streams() {
            return streams.get(id)!
          },
        })))
      )
      const [all, rest] = [fleets[0]!, fleets[1]!]
      const add = (id: string, count: number) => streams.set(id, streams.get(id)! + count)
      const choose = (i: number, fleet: typeof all) =>
        ProfilePlacement.order(placement.rank(demandFor(model, { session: session(`s${i}`) }), fleet))[0]!
      const idle = yield* homes(ids, 1000)
      const taken = Array.from({ length: 1000 }, (_, i) => {
        const home = choose(i, all)
        add(home, 1)
        return home
      })
      const lost = taken.flatMap((home, i) => home === "c" ? [i] : [])
      assert.isAbove(lost.length, 72)
      streams.delete("c")
      for (const [moved, i] of lost.entries()) {
        const home = choose(i, rest)
        add(home, 1)
        const load = 1000 - lost.length + moved + 1
        assert.isAtMost(streams.get(home)!, Math.ceil(1.25 * load / 7))
      }
      // Sessions that had got their first choice stay there in their next turn.
      for (const [i, home] of taken.entries()) {
        if (home === "c" || idle[i]![0] !== home) continue
        add(home, -1)
        assert.strictEqual(choose(i, rest), home)
        add(home, 1)
      }
    }).pipe(Effect.provide(ProfilePlacement.layer(profile))))

  it("names a conversation by its messages up to the user's first one", () => {
    const system = { role: "system", content: 'be "brief" ] } {' }
    const first = sessionOf({ model: "m", messages: [system, user("hi")], stream: true })
    assert.isDefined(first)
    const later = sessionOf({
      messages: [system, user("hi"), { role: "assistant", content: "hello" }, user("more")],
      model: "m",
    })
    assert.strictEqual(later, first)
    assert.notStrictEqual(sessionOf({ model: "m", messages: [system, user("ho")] }), first)
    assert.isUndefined(sessionOf({ model: "m" }))
    const long = user("x".repeat(100_000))
    assert.strictEqual(
      sessionOf({ model: "m", messages: [long] }),
      sessionOf({ model: "m", messages: [long, user("more")] }),
    )
  })

  it("names a session by its header where the request has one", () => {
    assert.strictEqual(session("one"), sessionOf({ model: "m", messages: [user("hi")] }, ["x-session-id", "one"]))
    assert.notStrictEqual(session("one"), session("two"))
  })
})
