/** Registers checks of contracts with the test runner. */
import { describe, it } from "@effect/vitest"
import type { Check } from "../../src/testing/checks.ts"

export const holds = (name: string, checks: ReadonlyArray<Check>): void => {
  describe(name, () => {
    // Properties of a thousand histories take their time on a busy machine.
    for (const { name, run } of checks) it.live(name, () => run, 120_000)
  })
}
