/** Counts that are the same in every run, also on a busy machine: for a test. */
import { type Load, send } from "./load.ts"
import type { Measured } from "./measured.ts"

/**
 * Code as it is written: an optimized function leaves objects out, and when V8 optimizes it depends on time. The young
 * generation has room for a round.
 */
export const unoptimized = [
  "--no-opt",
  "--no-maglev",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
]

/** Sends requests, one after the other or as many at a time as the program chooses. */
export type Go = (count: number) => Promise<unknown>

export const overSocket = ({ port }: Measured, load: Load): Go => (count) => send(port, load, 1, count)
export const inProcess = ({ tell }: Measured, load: "json" | "stream"): Go => (count) => tell({ send: load, count })

const warm = 2000
const rounds = 30
const requests = 100

/**
 * Bytes of heap that a request allocates. Other work of the program can only add to a round, such as a sweep or the
 * reading of a backend, so the lowest tenth of the rounds has the requests alone.
 */
export const heapBytes = async ({ ask }: Measured, go: Go): Promise<number> => {
  await go(warm)
  await ask("collect")
  const counted: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    await ask("begin")
    await go(requests)
    counted.push((await ask("end")).allocated / requests)
  }
  return Math.round(counted.toSorted((a, b) => a - b)[Math.floor(rounds / 10)]!)
}
