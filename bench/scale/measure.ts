/** How the benchmark of scale measures: single calls, and turns of the event loop. */
import { performance } from "node:perf_hooks"
import process from "node:process"
import { percentile } from "../statistics.ts"

/** One line of the table. A goal is for the p99 of single calls, and for the longest turn of the event loop. */
export interface Row {
  readonly what: string
  readonly unit: "ms" | "MiB" | "ms CPU" | "count"
  readonly n: number
  readonly median: number
  readonly p99: number
  readonly max: number
  readonly goal?: { readonly of: "p99" | "max"; readonly most: number } | undefined
}

export type Goal = Row["goal"]

/** The longest that the event loop may stay in one task. */
export const turnGoal: Goal = { of: "max", most: 10 }
/** A decision, from the ranking to the lease. */
export const decisionGoal: Goal = { of: "p99", most: 1 }

export const rowOf = (what: string, unit: Row["unit"], values: ReadonlyArray<number>, goal?: Goal): Row => {
  const sorted = Float64Array.from(values).sort()
  return {
    what,
    unit,
    n: values.length,
    median: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
    goal,
  }
}

/** Milliseconds of one synchronous call. */
export const millis = (call: () => void): number => {
  const begun = performance.now()
  call()
  return performance.now() - begun
}

/**
 * Milliseconds of a call, the least of three. On a machine that does other work too, this process may be stopped in the
 * middle of a call, for longer than the call takes. `after` is not timed.
 */
export const leastMillis = (call: () => void, after: () => void = () => {}): number => {
  let least = Infinity
  for (let i = 0; i < 3; i++) {
    least = Math.min(least, millis(call))
    after()
  }
  return least
}

export const pause = (): Promise<void> => new Promise((resume) => setImmediate(resume))

/** Lengths of the turns of the event loop, in milliseconds, until `stop` is called. */
const watchTurns = (): { readonly stop: () => ReadonlyArray<number> } => {
  const turns: Array<number> = []
  let last = performance.now()
  let next = setImmediate(function turn() {
    const at = performance.now()
    turns.push(at - last)
    last = at
    next = setImmediate(turn)
  })
  return {
    stop: () => {
      clearImmediate(next)
      turns.push(performance.now() - last)
      return turns
    },
  }
}

/**
 * The CPU time of a job and the turns of the event loop meanwhile. The job is done `times` times. Of the turns those of
 * the run with the shortest longest turn count: another process can only make a turn longer.
 */
export const job = async (what: string, times: number, run: () => Promise<unknown>): Promise<ReadonlyArray<Row>> => {
  const cpu: Array<number> = []
  let best: ReadonlyArray<number> | undefined
  const longest = (turns: ReadonlyArray<number>): number => turns.reduce((a, b) => Math.max(a, b), 0)
  for (let i = 0; i < times; i++) {
    const before = process.cpuUsage()
    const turns = watchTurns()
    await run()
    const lengths = turns.stop()
    const { system, user } = process.cpuUsage(before)
    cpu.push((system + user) / 1000)
    if (best === undefined || longest(lengths) < longest(best)) best = lengths
  }
  return [rowOf(what, "ms CPU", cpu), rowOf(`${what}: turns of the event loop`, "ms", best ?? [], turnGoal)]
}
