/** The long tests: `npm run test:long`. */
import { configDefaults, defineConfig } from "vitest/config"
import { common, long } from "./vitest.config.ts"

/**
 * Property tests that `npm test` has too, with fewer histories. On Deno those few show that the runtime changes nothing,
 * and so it is with what is played in virtual time only.
 */
const properties = [
  "test/layers/breaker/LocalBreaker.test.ts",
  "test/layers/coalescing/CoalescerHistories.test.ts",
  "test/layers/memory/residency/decision.histories.test.ts",
  "test/layers/memory/residency/Residency.test.ts",
  "test/layers/router/HedgedAttempts.test.ts",
  "test/simulated/SimulatedHistories.test.ts",
]

const inVirtualTime = ["test/long/churn.test.ts", "test/long/wrongStacks.test.ts"]

export default defineConfig({
  test: "Deno" in globalThis
    ? { ...common, include: long, exclude: [...configDefaults.exclude, ...inVirtualTime] }
    : { ...common, include: [...long, ...properties], env: { TEST_LENGTH: "long" } },
})
