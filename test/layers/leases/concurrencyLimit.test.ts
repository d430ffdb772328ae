import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ConcurrencyLimit } from "../../../src/layers/leases/concurrencyLimit.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import type * as Standard from "../../../src/layers/Standard.ts"
import type { Backend } from "../../../src/services/Fleet.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import type { Outcome } from "../../../src/services/Outcome.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask, over } from "../../support/routers.ts"

const model = SimulatedFleet.Model.llama31.name

/** The limit at each second, while `clients` clients each send the next request at once, for some virtual minutes. */
const limits = (
  { clients = 12, configured, minutes = 4, path = "/api/generate", real, streamsMax = 8, swaps = {} }: {
    readonly real: number
    readonly configured: number
    readonly clients?: number
    readonly minutes?: number
    readonly path?: "/api/generate" | "/v1/completions"
    readonly streamsMax?: number
    readonly swaps?: Standard.Swaps
  },
): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const leases = yield* Leases
    const catalog = yield* ModelCatalog
    // Answers of different lengths, so that they do not all end at the same time.
    const client = (n: number) =>
      Effect.forever(
        Effect.suspend(() =>
          ask(path, {
            model,
            prompt: "hello",
            stream: false,
            options: { num_predict: 30 + 7 * n },
            max_tokens: 30 + 7 * n,
          })
        ),
      )
    for (let n = 0; n < clients; n++) yield* Effect.forkScoped(client(n))
    const seen: Array<number> = []
    for (let second = 0; second < minutes * 60; second++) {
      yield* elapse("1 second", "100 millis")
      const known = catalog.peek(model)
      const [view] = leases.view.backends
      if (known !== undefined && view !== undefined) seen.push(view.limitOf(known))
    }
    return seen
  }).pipe(
    Effect.provide(
      over({ a: { ...SimulatedFleet.a100, parallelism: real } }, swaps, { parallelism: configured, streamsMax }),
      { local: true },
    ),
    Effect.scoped,
    Effect.orDie,
  )

const settled = (seen: ReadonlyArray<number>) => seen.slice(Math.floor(seen.length / 3))

describe("the concurrency limit over a simulated backend", () => {
  for (const [real, configured] of [[4, 8], [2, 6], [4, 1], [6, 3], [1, 4]] as const) {
    it.effect(`finds ${real} where ${configured} was configured, and stays there or one above`, () =>
      Effect.gen(function* () {
        const seen = yield* limits({ real, configured })
        assert.strictEqual(seen[0], configured)
        for (const limit of settled(seen)) {
          assert.isAtLeast(limit, real)
          assert.isAtMost(limit, real + 1)
        }
        // It is above only when it tries a higher limit, which it does less and less often.
        const above = settled(seen).filter((limit) => limit > real).length
        assert.isBelow(above / settled(seen).length, 0.1)
      }))
  }

  it.effect("stays at the configured value where that is right", () =>
    Effect.gen(function* () {
      for (const limit of settled(yield* limits({ real: 4, configured: 4, minutes: 2 }))) {
        assert.isAtMost(Math.abs(limit - 4), 1)
      }
    }))

  it.effect("does not rise above streamsMax", () =>
    Effect.gen(function* () {
      const seen = yield* limits({ real: 16, configured: 2, clients: 16, minutes: 2 })
      assert.strictEqual(Math.max(...seen), 8)
      assert.strictEqual(seen.at(-1), 8)
      assert.strictEqual(Math.max(...(yield* limits({ real: 16, configured: 2, streamsMax: 3, minutes: 1 }))), 3)
    }))

  it.effect("does not change where answers do not report waits, and where no request waits", () =>
    Effect.gen(function* () {
      const silent = yield* limits({ real: 2, configured: 4, path: "/v1/completions", minutes: 1 })
      assert.deepStrictEqual(Array.from(new Set(silent)), [4])
      const quiet = yield* limits({ real: 8, configured: 4, clients: 3, minutes: 1 })
      assert.deepStrictEqual(Array.from(new Set(quiet)), [4])
    }))

  it.effect("does not change in layerFixed", () =>
    Effect.gen(function* () {
      const fixed = { leases: MemoryLeases.layerFixed }
      assert.deepStrictEqual(
        Array.from(new Set(yield* limits({ real: 4, configured: 1, minutes: 1, swaps: fixed }))),
        [1],
      )
    }))
})

const configured = 6
const streamsMax: Backend["streamsMax"] = 8
const busy: Outcome = { kind: "saturated", cause: "http-503" }
const waited = (slotWaitMillis: number | undefined): Outcome => ({
  kind: "success",
  cause: "ok",
  usage: { promptTokens: 1, answerTokens: 1, slotWaitMillis },
})

describe("ConcurrencyLimit", () => {
  it("halves once for all requests under way when the backend is busy, and comes back to the configured value", () => {
    const one = new ConcurrencyLimit()
    const settle = (outcome: Outcome, begun: number, at: number) =>
      one.settled(outcome, { at, begun, configured, streams: 9, streamsMax })
    for (const begun of [1, 2, 3]) settle(busy, begun, 10)
    assert.strictEqual(one.limit(configured, streamsMax), 3)
    for (let at = 100_000; at < 200_000; at += 500) {
      settle(waited(undefined), at, at + 400)
    }
    // Without reports of waits it does not rise further.
    assert.strictEqual(one.limit(configured, streamsMax), configured)
  })

  it("ignores failures and outcomes that the client caused", () => {
    const one = new ConcurrencyLimit()
    for (const kind of ["failure", "ignored"] as const) {
      for (let at = 0; at < 100; at++) {
        one.settled({ kind, cause: "x" }, { at, begun: at, configured, streams: 9, streamsMax })
      }
    }
    assert.strictEqual(one.limit(configured, streamsMax), configured)
  })

  it("is found again soon after a backend was busy, however long it was right before", () => {
    const slots = 8
    const one = new ConcurrencyLimit()
    const limit = () => one.limit(1, 32)
    const running: Array<{ readonly begun: number; readonly streams: number; start: number; end: number }> = []
    let now = 0
    let answers = 0
    /** A server of 8 slots, with always one more request for the router than it may send. */
    const serve = (until: number): void => {
      while (answers < until) {
        while (running.length < limit()) {
          const free = running.length < slots
            ? now
            : running.map(({ end }) => end).toSorted((a, b) => b - a)[slots - 1]!
          const start = Math.max(now, free)
          const work = 1000 + (answers * 37 + running.length * 211) % 800
          running.push({ begun: now, streams: running.length + 1, start, end: start + work })
        }
        const { begun, end, start, streams } = running.sort((a, b) => a.end - b.end).shift()!
        now = end
        answers++
        const outcome = { ...waited(start - begun), firstByteMillis: start - begun + 50 }
        one.settled(outcome, { at: now, begun, configured: 1, streams, streamsMax: 32 })
      }
    }
    serve(6000)
    assert.isAtLeast(limit(), slots - 1)
    for (let n = 0; n < 20; n++) one.settled(busy, { at: ++now, begun: now, configured: 1, streams: 8, streamsMax: 32 })
    assert.strictEqual(limit(), 1)
    serve(6400)
    assert.isAtLeast(limit(), slots - 1)
  })

  it("starts again when another parallelism is configured", () => {
    const one = new ConcurrencyLimit()
    one.settled(busy, { at: 1, begun: 0, configured, streams: 6, streamsMax })
    assert.strictEqual(one.limit(configured, streamsMax), 3)
    assert.strictEqual(one.limit(4, streamsMax), 4)
  })

  it.prop(
    "is never below one or above streamsMax",
    {
      steps: Schema.Array(Schema.Tuple([
        Schema.Literals(["busy", "waited", "clean", "silent"]),
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
      ])),
    },
    ({ steps }) => {
      const one = new ConcurrencyLimit()
      let at = 0
      for (const [step, n] of steps) {
        at += n * 1000
        const outcome = step === "busy" ? busy : waited(step === "waited" ? 900 : step === "clean" ? 0 : undefined)
        one.settled(outcome, { at, begun: at - 500 * n, configured, streams: n, streamsMax })
        assert.isAtLeast(one.limit(configured, streamsMax), 1)
        assert.isAtMost(one.limit(configured, streamsMax), streamsMax)
      }
    },
    { arbitrary: { runs: 500, size: 80, seed: "concurrency" } },
  )
})
