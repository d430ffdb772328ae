import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { watch } from "../../../src/layers/server/IdleMemory.ts"

const mebibyte = 1024 * 1024

/** A process in which a collection frees everything above 100 MiB. */
class Process {
  requests = 0
  cpu = 0
  memory = 100 * mebibyte
  collections = 0
  readonly active = () => this.requests
  readonly cpuMillis = () => this.cpu
  readonly rss = () => this.memory
  readonly collect = () => {
    this.collections += 1
    this.memory = 100 * mebibyte
    this.cpu += 50
  }
}

const seconds = (n: number) => TestClock.adjust(Duration.seconds(n))
const watched = Effect.gen(function* () {
  const process = new Process()
  yield* watch(process, Duration.seconds(4))
  yield* seconds(10)
  return process
})

it.effect("collects once when it becomes idle, and again only after it has grown", () =>
  Effect.gen(function* () {
    const process = yield* watched
    expect(process.collections).toBe(1)
    yield* seconds(60)
    expect(process.collections).toBe(1)
    process.memory += 7 * mebibyte
    yield* seconds(60)
    expect(process.collections).toBe(1)
    process.memory += 2 * mebibyte
    yield* seconds(8)
    expect([process.collections, process.memory]).toEqual([2, 100 * mebibyte])
  }).pipe(Effect.scoped))

it.effect("does not collect while a request is under way, nor in the interval in which it ended", () =>
  Effect.gen(function* () {
    const process = yield* watched
    process.memory += 50 * mebibyte
    process.requests = 1
    yield* seconds(60)
    process.requests = 0
    yield* seconds(4)
    expect(process.collections).toBe(1)
    yield* seconds(4)
    expect(process.collections).toBe(2)
  }).pipe(Effect.scoped))

it.effect("does not collect while the process works between the looks", () =>
  Effect.gen(function* () {
    const process = yield* watched
    process.memory += 50 * mebibyte
    for (let i = 0; i < 10; i++) {
      process.cpu += 300
      yield* seconds(4)
    }
    expect(process.collections).toBe(1)
    yield* seconds(4)
    expect(process.collections).toBe(2)
  }).pipe(Effect.scoped))
