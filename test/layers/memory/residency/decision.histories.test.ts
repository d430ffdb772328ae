/** The decision on loads and the loop that carries it out, over generated histories. */
import { assert, describe, it } from "@effect/vitest"
import { onTestFinished } from "vitest"
import { backends, LoadWorld, models } from "./loadWorld.ts"
import { runs } from "../../../support/runs.ts"

const histories = runs(1000, 10_000)
const steps = 30

/** Plays one step. Returns whether the loop has to look at all backends by itself after it: a load has ended. */
const play = (world: LoadWorld): boolean => {
  const on = world.oneOf(backends)
  const held = world.heldOf(on)
  const what = Math.floor(world.random() * 24)
  // In some steps services, the picker and listeners throw, and a listener calls back.
  world.wild = world.chance(0.4)
  if (what < 5) {
    world.holdings.contained("", () =>
      world.ask(on, {
        evicts: world.chance(0.7),
        ...(world.chance(0.15) ? { numCtx: 8192 } : {}),
      }), undefined)
  } else if (what === 5) {
    const model = world.oneOf(models)
    world.quiet(() => {
      if (held.models.find(model) === undefined) return
      world.holds.push({ held, key: model.key, pin: world.uses.hold(on.id, model) })
    })
  } else if (what === 6) {
    world.holds.splice(Math.floor(world.random() * world.holds.length), 1)[0]?.pin.release()
  } else if (what === 7) world.pin(on.id)
  else if (what < 10) world.pinned.splice(Math.floor(world.random() * world.pinned.length), 1)[0]?.pin.release()
  else if (what === 10) world.holdings.contained("", () => world.unload(held), undefined)
  else if (what < 13) world.now += world.oneOf([100, 500, 1000, 3000, 10_000, 60_000])
  else if (what < 17) {
    const [work] = world.works.splice(Math.floor(world.random() * world.works.length), 1)
    if (work === undefined) return false
    // A report may come late, when the model no longer drains or drains again.
    if (work._tag === "Drain" && world.chance(0.4)) world.works.push(work)
    world.finish(work, world.chance(0.8))
    return work._tag === "Load"
  } else if (what < 19) {
    world.read(held)
    world.checkOverdue(held)
  } else if (what === 19) {
    // Somebody else loads or unloads.
    const memory = world.memoryOf(on.id)
    const { key } = world.oneOf(models)
    if (!memory.delete(key) && key !== "huge:latest" && key !== "small-copy:latest") memory.set(key, undefined)
  } else if (what === 20) {
    for (const one of world.allocations) {
      if (one.current === "releasing") world.holdings.contained("", () => one.move("gone"), undefined)
    }
  } else if (what === 21) world.runBackground()
  else if (what === 22) {
    const model = world.oneOf(models)
    world.holdings.contained("", () => {
      const which = world.random()
      if (which < 0.5) world.uses.touch(on.id, model)
      else if (which < 0.75) world.uses.want(on.id, model)
      else world.uses.forget(on.id, model)
    }, undefined)
  } else if (world.chance(0.2)) {
    world.membership.remove(on.id)
    world.memory.delete(on.id)
    for (const hold of world.holds.filter((each) => each.held === held)) hold.pin.release()
    world.holds.splice(0, world.holds.length, ...world.holds.filter((each) => each.held !== held))
  }
  return false
}

/** Everything that keeps loads waiting ends: then all waiters have their answer within a minute. */
const settle = (world: LoadWorld): void => {
  world.wild = false
  for (const one of [...world.holds.splice(0), ...world.pinned.splice(0)]) one.pin.release()
  for (let round = 0; round < 30 && !world.isQuiet(); round++) {
    world.threw = false
    world.runBackground()
    for (const work of world.works.splice(0)) world.finish(work, true)
    for (const one of world.allocations) if (one.current === "releasing") one.move("gone")
    for (const held of world.holdings.backends.values()) world.read(held)
    world.loop.look()
    world.checkSettled()
    world.now += 2000
  }
}

const run = (seed: number): LoadWorld => {
  const world = new LoadWorld(seed)
  for (const on of backends) if (world.chance(0.7)) world.read(world.heldOf(on))
  for (world.step = 0; world.step < steps; world.step++) {
    world.threw = false
    const looks = play(world)
    world.wild = false
    if (!looks) world.loop.look()
    world.checkSettled()
  }
  settle(world)
  return world
}

describe("the decision on loads", () => {
  it(`keeps its promises over ${histories} histories`, () => {
    // Thousands of histories throw on purpose: collecting the stacks would take most of the time.
    const { stackTraceLimit } = Error
    onTestFinished(() => void (Error.stackTraceLimit = stackTraceLimit))
    Error.stackTraceLimit = 0
    let answered = 0
    for (let seed = 1; seed <= histories; seed++) {
      const world = run(seed)
      for (const [load, count] of world.answers) {
        if (count !== 1) world.violations.push(`${load.model.key} got ${count} answers`)
        answered += count
      }
      for (const [id, held] of world.holdings.backends) {
        for (const loaded of held.models.loaded.values()) {
          if (loaded.draining) world.violations.push(`${loaded.key} on ${id} drains for ever`)
        }
      }
      assert.deepStrictEqual(world.violations, [], `seed ${seed}`)
    }
    assert.isAbove(answered, histories)
  }, 120_000)
})
