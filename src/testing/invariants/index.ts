/**
 * The invariants of a router as checkers, and layers that tell them what happens. `FaultContract` uses all of them. Use
 * them yourself to watch a stack under a load of your own.
 *
 * **Example** (no lease is lost)
 *
 * ```ts
 * import { MemoryLeases, Standard } from "llamero"
 * import { Invariants } from "llamero/testing"
 *
 * const watch = new Invariants.Watch([Invariants.leases()])
 * export const stack = Standard.layer({ leases: MemoryLeases.layer.pipe(Invariants.Watched.leases(watch)) })
 * // after the load: watch.violations, and watch.exercised() says what the load has tried
 * ```
 *
 * @since 0.1.0
 */
export { all, type Bounds } from "./all.ts"
export { attempts } from "./attempts.ts"
export { breaking } from "./breaking.ts"
export { bytes } from "./bytes.ts"
export { fairness } from "./fairness.ts"
export { leases } from "./leases.ts"
export { loads } from "./loads.ts"
export { memory } from "./memory.ts"
export type { Attempt, ClientAnswer, Idle, ModelOnBackend, Observations, QueuePlace } from "./observations.ts"
export { queues } from "./queues.ts"
export { trace } from "./trace.ts"
export { unloads } from "./unloads.ts"
export { type Checker, type Exercise, type Violation, Watch } from "./watch.ts"
export * as Watched from "./watched.ts"
