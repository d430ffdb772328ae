/**
 * 200 seeds of random faults, or as many as FAULT_SEEDS says: one half. The other half runs in parallel. On Deno, 8
 * seeds show that the runtime changes nothing.
 */
import process from "node:process"
import { suite } from "../simulation/faultSuite.ts"

const count = "Deno" in globalThis ? 8 : Number(process.env["FAULT_SEEDS"] ?? 200)

// Whether memory is managed differs between neighbours, so the halves take the seeds in pairs.
suite(
  Array.from({ length: count }, (_, i) => i + 1).filter((seed) => Math.floor(seed / 2) % 2 === 0),
  5000,
)
