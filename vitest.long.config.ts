/** The long tests: `npm run test:long`. */
import { defineConfig } from "vitest/config"
import { common, long } from "./vitest.config.ts"

/** Property tests that `npm test` has too, with fewer histories. */
const properties = [
  "test/layers/breaker/LocalBreaker.test.ts",
  "test/layers/coalescing/CoalescerHistories.test.ts",
  "test/layers/memory/residency/decision.histories.test.ts",
  "test/layers/memory/residency/Residency.test.ts",
  "test/layers/router/HedgedAttempts.test.ts",
  "test/simulated/SimulatedHistories.test.ts",
]

export default defineConfig({
  test: { ...common, include: [...long, ...properties], env: { TEST_LENGTH: "long" } },
})
