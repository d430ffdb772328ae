import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Effect, Layer, Option, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as FirstThatWorksGpuProbe from "../../../src/layers/gpu/FirstThatWorksGpuProbe.ts"
import {
  GpuProbe,
  type GpuReading,
  LibraryMissing,
  Timeout,
  Unhealthy,
  unknown,
} from "../../../src/services/GpuProbe.ts"
import { contract } from "../../../src/testing/contracts/GpuProbe.ts"
import * as MockGpuProbe from "../../../src/testing/mocks/MockGpuProbe.ts"
import { holds } from "../../support/checks.ts"

const card = MockGpuProbe.device("GPU-1", ByteSize.gibibytes(24))
const missing = new LibraryMissing({ description: "not here" })
const late = new Timeout({ description: "too late" })

const lost: GpuReading = {
  ...unknown("GPU-lost", "lost", "gpu"),
  health: Option.some(new Unhealthy({ reason: "GPU is lost" })),
}
const mock = (source: string, step: MockGpuProbe.Step) => MockGpuProbe.layer(step, { source })

holds(
  "FirstThatWorksGpuProbe is a GpuProbe",
  contract({
    working: FirstThatWorksGpuProbe.layer([mock("a", missing), mock("b", [card])]),
    kind: "gpu",
    partial: FirstThatWorksGpuProbe.layer([mock("a", missing), mock("b", [lost, card]), mock("c", [card])]),
    failing: [FirstThatWorksGpuProbe.layer([mock("a", missing), mock("b", missing)]), "NoneWorked"],
  }),
)

interface Chain {
  readonly read: GpuProbe["Service"]["read"]
  readonly handles: ReadonlyArray<MockGpuProbe.MockReadings["Service"]>
}

/** A chain, and the next answers of its probes. */
const chain = (
  ...steps: readonly [MockGpuProbe.Step, ...ReadonlyArray<MockGpuProbe.Step>]
): Effect.Effect<Chain, never, Scope.Scope> =>
  Effect.gen(function* () {
    const built = yield* Effect.forEach(steps, (step, index) => Layer.build(mock("abc"[index]!, step)))
    const [first, ...others] = built.map((context) => Layer.succeed(GpuProbe, Context.get(context, GpuProbe)))
    const context = yield* Layer.build(FirstThatWorksGpuProbe.layer([first!, ...others], { retry: "8 seconds" }))
    const handles = built.map((found) => Context.get(found, MockGpuProbe.MockReadings))
    return { read: Context.get(context, GpuProbe).read, handles }
  })

describe("FirstThatWorksGpuProbe", () => {
  it.effect("reads the first probe and no other", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain([card], [card])
      assert.deepStrictEqual(yield* read, { source: "a", passedOver: [], devices: [card] })
      assert.strictEqual(yield* handles[1]!.reads, 0)
    }))

  it.effect("says why the probes before it failed", () =>
    Effect.gen(function* () {
      const { read } = yield* chain(missing, [], [card])
      const { passedOver, source } = yield* read
      assert.strictEqual(source, "c")
      assert.deepStrictEqual(passedOver, [
        { source: "a", reason: "LibraryMissing", description: "not here" },
        { source: "b", reason: "NotSupported", description: "it shows no device" },
      ])
    }))

  it.effect("goes on to the next probe in the same read", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain([card], [card])
      yield* read
      yield* handles[0]!.set(late)
      const { passedOver, source } = yield* read
      assert.strictEqual(source, "b")
      assert.strictEqual(passedOver[0]!.reason, "Timeout")
    }))

  it.effect("does not read a probe again that is known to fail", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain(missing, [card])
      for (let i = 0; i < 10; i++) yield* read
      assert.strictEqual(yield* handles[0]!.reads, 1)
    }))

  it.effect("tries the better probes again after 1, 2, 4, 8, 8, … seconds", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain(missing, [card])
      yield* read
      const tries: Array<number> = []
      for (let second = 1, seen = 1; second <= 31; second++) {
        yield* TestClock.adjust("1 second")
        const reads = yield* handles[0]!.reads
        if (reads > seen) tries.push(second)
        seen = reads
      }
      assert.deepStrictEqual(tries, [1, 3, 7, 15, 23, 31])
      yield* handles[0]!.set([card])
      assert.strictEqual((yield* read).source, "b")
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(yield* read, { source: "a", passedOver: [], devices: [card] })
      yield* handles[0]!.set(late)
      yield* read
      yield* handles[0]!.set([card])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* read).source, "a", "soon at first, the second time as well")
    }))

  it.effect("a better probe that hangs delays no read", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain(missing, [card])
      yield* read
      yield* handles[0]!.set("hangs")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* read).source, "b")
    }))

  it.effect("when no probe works, gives the reason of each, and starts with the first again", () =>
    Effect.gen(function* () {
      const { handles, read } = yield* chain([card], [card])
      yield* read
      yield* Effect.forEach(handles, (handle) => handle.set(late))
      const { reason, source } = yield* Effect.flip(read)
      assert.strictEqual(source, "first-that-works")
      assert.strictEqual(reason._tag, "NoneWorked")
      assert.strictEqual(reason.description, "a: Timeout, b: Timeout")
      yield* handles[0]!.set([card])
      assert.strictEqual((yield* read).source, "a")
    }))
})
