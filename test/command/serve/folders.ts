/** A folder with files, for one test. */
import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** `DIR` in the texts stands for the folder. */
export const folderOf = (files: Readonly<Record<string, string>>): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = mkdtempSync(join(tmpdir(), "llamero-command-"))
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text.replaceAll("DIR", path))
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true })),
  )
