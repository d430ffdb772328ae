/** What a serverless host has to take in stays small: the standard stack, and nothing of Node. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { budgetKiB, bundle, sizes } from "../bench/cold.ts"

describe("the bundle for serverless hosts", () => {
  it("is within its budget, and has nothing of Node but crypto and process", async () => {
    const folder = mkdtempSync(join(tmpdir(), "llamero-bundle-"))
    try {
      const { file, imports } = await bundle(folder)
      assert.isBelow(sizes(file).gzippedKib, budgetKiB)
      assert.sameMembers([...imports], ["node:crypto", "node:process"])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
