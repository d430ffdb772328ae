/** The long tests: `npm run test:long`. */
import { configDefaults, defineConfig } from "vitest/config"
import { common, long } from "./vitest.config.ts"

/**
 * Property tests that `npm test` has too, with fewer histories. On Deno those few show that the runtime changes nothing,
 * and so it is with what is played in virtual time only.
 */
const properties = [
  "test/command/reload/underLoad.test.ts",
  "test/command/reload/whole.test.ts",
  "test/layers/breaker/LocalBreaker.test.ts",
  "test/layers/coalescing/CoalescerHistories.test.ts",
  "test/layers/memory/residency/decision.histories.test.ts",
  "test/layers/memory/residency/Residency.test.ts",
  "test/layers/router/HedgedAttempts.test.ts",
  "test/simulated/SimulatedHistories.test.ts",
]

const onNodeOnly = [
  // What is tested are the queries, which take two minutes.
  "test/runtime/monitoring.test.ts",
  // It measures the heap of Node.
  "test/runtime/labels.test.ts",
  "test/long/churn.test.ts",
  "test/long/wrongStacks.test.ts",
  // It has the proxies in front of a server on Node.
  "test/runtime/proxies.test.ts",
  // It drives a browser. It has the reference server on both runtimes.
  "test/runtime/statusPage.test.ts",
  "test/runtime/statusPageChat.test.ts",
  "test/runtime/statusPageFleet.test.ts",
  // Deno's server resets a connection that it closes before it has read the whole body: the client may lose the answer.
  // `test/fuzz` sends fewer such requests, on both runtimes.
  "test/long/requests.test.ts",
]

const test = { ...common, testTimeout: 180_000 }

export default defineConfig({
  test: "Deno" in globalThis
    ? { ...test, include: long, exclude: [...configDefaults.exclude, ...onNodeOnly] }
    : { ...test, include: [...long, ...properties], env: { TEST_LENGTH: "long" } },
})
