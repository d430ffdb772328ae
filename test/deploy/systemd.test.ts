/** `deploy/systemd`: what systemd says about the unit, and that its settings are right. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "../../scripts/exports.ts"
import * as Settings from "../../src/layers/Settings.ts"
import { environment } from "./manifests.ts"
import { withFiles } from "./promtool.ts"

const read = (file: string): string => readFileSync(join(root, "deploy/systemd", file), "utf8")
const unit = read("llamero.service")

const run = (...args: ReadonlyArray<string>): { readonly ok: boolean; readonly printed: string } => {
  const { error, status, stderr, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" })
  return { ok: status === 0, printed: error === undefined ? stdout + stderr : String(error) }
}

// `security --offline` came with systemd 250.
const version = Number(/^systemd (\d+)/.exec(run("--version").printed)?.[1] ?? 0)
const absent = version >= 250 ? undefined : `there is no systemd-analyze of systemd 250 here, but ${version || "none"}`
if (absent !== undefined) console.log(`the unit of systemd is not checked: ${absent}`)

/** The highest exposure that systemd may find, of 10. */
const exposureMax = 2

/** systemd looks for the programs of a unit: the test has no llamero that is installed. */
const withUnit = <A>(text: string, use: (path: string) => A): A =>
  withFiles(
    { "llamero.service": text.replace("/usr/local/bin/llamero", "/usr/bin/env") },
    (folder) => use(join(folder, "llamero.service")),
  )

const exposure = (text: string): number =>
  withUnit(text, (path) => {
    const { printed } = run("security", "--offline=true", "--no-pager", path)
    return Number(/Overall exposure level for llamero\.service: ([\d.]+)/.exec(printed)?.[1] ?? NaN)
  })

describe.skipIf(absent !== undefined)("deploy/systemd/llamero.service, by systemd-analyze", () => {
  it("is a right unit", () => {
    withUnit(unit, (path) => {
      const { ok, printed } = run("verify", "--man=no", path)
      assert.isTrue(ok, printed)
      assert.notInclude(printed, "llamero.service:", printed)
    })
  })

  it("would not be, with a name that systemd does not know or a value that it cannot read", () => {
    for (const wrong of ["ProtectHomes=yes", "KillMode=soft", "TimeoutStopSec=soon"]) {
      withUnit(unit.replace("[Service]\n", `[Service]\n${wrong}\n`), (path) => {
        assert.include(run("verify", "--man=no", path).printed, "llamero.service:", wrong)
      })
    }
  })

  it(`is exposed by at most ${exposureMax} of 10`, () => {
    assert.isAtMost(exposure(unit), exposureMax)
    // A unit without hardening has 9.6.
    assert.isAbove(exposure(unit.replaceAll(/^(Protect|Private|Restrict|Cap|System|No|Dynamic|Device).*$/gm, "")), 8)
  })
})

describe("deploy/systemd", () => {
  it("has settings that the router reads, those that are commented out too", async () => {
    const settings = await Effect.runPromise(Settings.fromEnv(environment(read("llamero.env"))))
    assert.deepStrictEqual(settings.backends, ["http://127.0.0.1:11434"])
    const named = read("llamero.env").matchAll(/^#?(LLAMERO_\w+)=/gm)
    const names = Array.from(named, ([, name = ""]) => name)
    assert.isAbove(names.length, 5)
    assert.deepStrictEqual(Settings.unknownNames(names), [])
  })

  it("lets the router drain before it is killed", () => {
    const { LLAMERO_DRAIN_TIMEOUT = "" } = environment(read("llamero.env"))
    const [, stop = ""] = /^TimeoutStopSec=(\d+)s$/m.exec(unit)!
    assert.isAbove(Number(stop), parseInt(LLAMERO_DRAIN_TIMEOUT) + 5)
  })
})
