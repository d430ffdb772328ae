/** Registers checks of contracts with the test runner. */
import { describe, it } from "@effect/vitest"
import type { Check } from "../../src/testing/checks.ts"

export const holds = (name: string, checks: ReadonlyArray<Check>): void => {
  describe(name, () => {
    // Properties over a thousand histories take long on a busy machine.
    for (const { name, run } of checks) it.live(name, () => run, 120_000)
  })
}
