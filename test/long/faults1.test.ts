/**
 * 200 seeds of random faults: one half. The other half runs in parallel. On Deno 8 seeds show that the runtime changes
 * nothing.
 */
import { suite } from "../simulation/faultSuite.ts"

const count = "Deno" in globalThis ? 8 : 200

// Whether memory is managed differs between neighbours, so the halves take the seeds in pairs.
suite(
  Array.from({ length: count }, (_, i) => i + 1).filter((seed) => Math.floor(seed / 2) % 2 === 0),
  5000,
)
