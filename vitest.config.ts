import process from "node:process"
import { configDefaults, defineConfig } from "vitest/config"

/** A file for the results as JSON, which CI counts. */
const json = process.env["VITEST_JSON"]

/** What the short and the long run have in common. */
export const common = {
  testTimeout: 30_000,
  reporters: json === undefined ? ["default"] : ["default", ["json", { outputFile: json }] as const],
}

export default defineConfig({
  test: { ...common, include: ["test/**/*.test.ts"], exclude: [...configDefaults.exclude, "test/long/**"] },
})
