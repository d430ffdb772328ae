/** Runs Prometheus' own tools, where the machine has them. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const has = (program: string): boolean => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Why tests of rules and queries are skipped; `undefined` where they run. */
export const absent = has("promtool") && has("prometheus")
  ? undefined
  : "there is no Prometheus here: apt-get install prometheus"

/** A folder with these files, until `use` has ended. */
export const withFiles = <A>(files: Readonly<Record<string, string>>, use: (folder: string) => A): A => {
  const folder = mkdtempSync(join(tmpdir(), "llamero-prometheus-"))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `promtool` prints, and whether it found nothing wrong. */
export const promtool = (...args: ReadonlyArray<string>): { readonly ok: boolean; readonly printed: string } => {
  try {
    return { ok: true, printed: execFileSync("promtool", args, { encoding: "utf8", stdio: "pipe" }) }
  } catch (error) {
    const { stderr, stdout } = error as { readonly stderr: string; readonly stdout: string }
    return { ok: false, printed: stdout + stderr }
  }
}
