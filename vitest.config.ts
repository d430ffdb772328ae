import process from "node:process"
import { configDefaults, defineConfig } from "vitest/config"

/** A file for the results as JSON, which CI counts. */
const json = process.env["VITEST_JSON"]

/**
 * Tests of `npm run test:long`: long histories, and the reference server and the examples as programs on both runtimes.
 */
export const long = ["test/long/**/*.test.ts", "test/runtime/**/*.test.ts"]

/** What the short and the long run have in common. */
export const common = {
  testTimeout: 60_000,
  // One for each core. The default leaves one core idle, which is half of a small machine.
  maxWorkers: "100%",
  // On Node, test files share the modules of their worker: to load Effect for each file would take a third of the time.
  isolate: "Deno" in globalThis,
  reporters: json === undefined ? ["default"] : ["default", ["json", { outputFile: json }] as const],
}

export default defineConfig({
  test: { ...common, include: ["test/**/*.test.ts"], exclude: [...configDefaults.exclude, ...long] },
})
