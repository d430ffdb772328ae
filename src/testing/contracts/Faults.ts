/**
 * The ten invariants of a whole router under faults. Thousands of requests go to simulated backends that refuse, hang,
 * crash, lie and come back. Clients read slowly or leave, readings of GPUs fail, and clocks jump.
 *
 * **Example** (your own breaker in the whole router)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 * import { LocalBreaker } from "llamero"
 * import { FaultContract } from "llamero/testing"
 * import { test } from "node:test"
 *
 * const mine = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
 * for (const { name, run } of FaultContract.contract({ breaker: mine })) test(name, () => Effect.runPromise(run))
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as assert from "../assert.ts"
import { type Check, checkLive } from "../checks.ts"
import { play, type Played } from "../faults/play.ts"
import { explain, type InvariantReport, report, unexercised } from "../faults/report.ts"
import type { Subjects } from "../faults/world.ts"
import type { Bounds } from "../invariants/all.ts"
import { rules } from "../invariants/rules.ts"

export { play, type Played } from "../faults/play.ts"
export { type AlikeViolations, explain, type InvariantReport, report, unexercised } from "../faults/report.ts"
export type { Subjects } from "../faults/world.ts"
export type { Bounds } from "../invariants/all.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to 1 to 4. In even seeds the router manages the memory of the GPUs. */
  readonly seeds?: ReadonlyArray<number> | undefined
  /** For each seed. Defaults to 1,000. */
  readonly requests?: number | undefined
  /**
   * What layers of yours are bounded by, where it differs from the defaults of the shipped layers: `queueCapacity`
   * 128 requests for a model, `queueBytes` 256 MiB, `ageMillis` 10,000, `attempts` 3, `reserve` 2 GiB of each device.
   * Without an admission of yours the queues are small, so that their bounds are reached: 40 requests and 16 KiB.
   */
  readonly bounds?: Partial<Bounds> | undefined
  /**
   * Numbers of invariants that need not be exercised, since your layers have nothing that they are about: such as 9 for
   * an admission without a queue. Violations of them still count. Defaults to none.
   */
  readonly mayBeUnexercised?: ReadonlyArray<number> | undefined
}

/** Plays all seeds, and the first one twice, since one seed has to give the same history again. */
const playAll = (subjects: Subjects, options: Options): ReadonlyArray<InvariantReport> => {
  const { bounds = {}, requests = 1000, seeds = [1, 2, 3, 4] } = options
  const plays = seeds.map((seed) => play(seed, requests, subjects, bounds))
  const [first] = plays
  if (first === undefined) return report(plays)
  const again = play(first.seed, requests, subjects, bounds)
  const repeated: Played = {
    ...first,
    exercised: [],
    violations: first.hash === again.hash ? [] : [{
      invariant: 10,
      checker: "trace",
      what: `seed ${first.seed} gave the history ${first.hash}, and then ${again.hash}`,
    }],
  }
  return report([...plays, repeated])
}

const failure = (one: InvariantReport, { bounds, requests = 1000 }: Options): string => {
  const last = bounds === undefined ? "" : ", bounds"
  const seeds = new Set(one.violations.flatMap(({ seeds }) => seeds))
  const again = Array.from(seeds, (seed) => `  again: FaultContract.play(${seed}, ${requests}, subjects${last})`)
  const hint = unexercised(one).length > 0 && again.length === 0
    ? ["  with more requests or seeds it may be exercised; memory is managed in even seeds only"]
    : []
  return [explain(one), ...again, ...hint].join("\n")
}

/**
 * One check for each invariant, and one for errors in the log. All seeds are played once, by the first check that
 * runs, in one synchronous run in virtual time.
 *
 * **Details**
 *
 * A check fails where its invariant was violated: its message has each kind of violation once, with a count, and how
 * to play a seed again. A check also fails where its invariant was never exercised, since the run then says nothing
 * about it.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = (subjects: Subjects = {}, options: Options = {}): ReadonlyArray<Check> => {
  let reports: ReadonlyArray<InvariantReport> | undefined
  return rules.map(([, rule], invariant) =>
    checkLive(invariant === 0 ? rule : `invariant ${invariant}: ${rule}`, () =>
      Effect.sync(() => {
        reports ??= playAll(subjects, options)
        const one = reports[invariant]!
        const needed = options.mayBeUnexercised?.includes(invariant) !== true
        assert.ok(
          one.violations.length === 0 && (!needed || unexercised(one).length === 0),
          failure(one, options),
        )
      }))
  )
}
