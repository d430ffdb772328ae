/** The long tests: `npm run test:long`. */
import { defineConfig } from "vitest/config"
import { common, long } from "./vitest.config.ts"

export default defineConfig({ test: { ...common, include: long } })
