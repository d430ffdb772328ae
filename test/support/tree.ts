/** A folder of small files in place of the machine's /proc and /sys. */
import { Effect, type Scope } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export const write = (root: string, files: Readonly<Record<string, string | number>>): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${content}\n`)
  }
}

/** For tests that set up before they run. The test must remove it. */
export const make = (files: Readonly<Record<string, string | number>>): string => {
  const root = mkdtempSync(join(tmpdir(), "llamero-tree-"))
  write(root, files)
  return root
}

export const remove = (root: string): void => rmSync(root, { recursive: true, force: true })

export const scoped = (files: Readonly<Record<string, string | number>>): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => make(files)), (root) => Effect.sync(() => remove(root)))
