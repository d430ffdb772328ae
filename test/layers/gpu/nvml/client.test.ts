/** A helper that cannot be killed: a thread that hangs in a driver does not end. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import type { Child, Listener } from "../../../../src/layers/gpu/nvml/child.ts"
import * as Client from "../../../../src/layers/gpu/nvml/client.ts"
import { elapse } from "../../../../src/testing/elapse.ts"

/** A child that answers when the test says so, and that a kill does not end. */
class Helper implements Child {
  readonly pid: number
  kills = 0
  ended = false
  answers = false
  private listener: Listener | undefined

  constructor(pid: number) {
    this.pid = pid
  }

  readonly send: Child["send"] = ({ id }) => {
    if (this.answers) this.listener?.line({ id, driver: { version: null, cuda: null }, devices: [], xids: [] })
  }
  readonly kill = () => void this.kills++
  readonly gone = () => this.ended
  readonly opened = () => true
  readonly listen = (listener: Listener) => void (this.listener = listener)
}

const make = (answers: boolean) =>
  Effect.gen(function* () {
    const started: Array<Helper> = []
    const world = { answers }
    const { ask, pid } = yield* Client.make({
      source: "nvml",
      libraries: [],
      processes: false,
      start: () => {
        const helper = new Helper(started.length + 1)
        helper.answers = world.answers
        started.push(helper)
        return helper
      },
      deadline: Duration.seconds(1),
      openDeadline: Duration.seconds(10),
      backoff: Duration.seconds(1),
      backoffMax: Duration.minutes(1),
    })
    const failure = Effect.gen(function* () {
      const asking = yield* Effect.forkChild(Effect.flip(ask), { startImmediately: true })
      yield* elapse("2 seconds")
      return (yield* Fiber.join(asking)).message
    })
    return { ask, failure, pid, started, world }
  })

describe("a helper that cannot be killed", () => {
  it.effect("stays the only one, for any number of reads and any length of time", () =>
    Effect.gen(function* () {
      const { ask, failure, pid, started, world } = yield* make(false)
      assert.include(yield* failure, "1s")
      assert.strictEqual(started[0]?.kills, 1)
      for (let minute = 0; minute < 10; minute++) {
        yield* elapse("1 minute", "10 seconds")
        assert.include(yield* failure, "helper process 1 was killed and has not gone")
        assert.lengthOf(started, 1)
        assert.isTrue((yield* pid)._tag === "None")
      }
      // The driver returns from its call.
      started[0]!.ended = true
      world.answers = true
      assert.deepStrictEqual((yield* ask).devices, [])
      assert.lengthOf(started, 2)
      assert.strictEqual(started[1]?.kills, 0)
    }))

  it.effect("stays the only one when the helper after it hangs too", () =>
    Effect.gen(function* () {
      const { failure, started } = yield* make(false)
      yield* failure
      started[0]!.ended = true
      yield* elapse("1 minute", "10 seconds")
      assert.include(yield* failure, "1s")
      assert.lengthOf(started, 2)
      yield* elapse("1 minute", "10 seconds")
      assert.include(yield* failure, "helper process 2")
      assert.lengthOf(started, 2)
    }))

  it.effect("is killed when the probe ends", () =>
    Effect.gen(function* () {
      const started = yield* Effect.scoped(Effect.gen(function* () {
        const { ask, started } = yield* make(true)
        yield* ask
        return started
      }))
      assert.deepStrictEqual(started.map(({ kills }) => kills), [1])
    }))
})
