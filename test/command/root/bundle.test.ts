/** The bundle of the command, as `npm start` and the package have it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { prints, run, runtimes, start } from "../../support/processes.ts"
import { folderOf } from "../serve/folders.ts"

const hasProc = existsSync("/proc/self/cmdline")
if (!hasProc) console.log("skipped: what a process was started with; this system has no /proc")

const built = Effect.flatMap(
  run([...runtimes.node, "scripts/build.ts"], {}),
  ({ printed, status }) => Effect.sync(() => assert.strictEqual(status, 0, printed)),
)

const settings = `{ "port": 0, "backends": ["http://127.0.0.1:9"] }`

/** What a process was started with. */
const commandOf = (pid: number | undefined): ReadonlyArray<string> =>
  readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")

describe("the bundle of the command", () => {
  it.live.skipIf(!hasProc)(
    "serves with a young generation of 16 MiB, unless another size is set",
    () =>
      Effect.gen(function* () {
        yield* built
        const folder = yield* folderOf({ "llamero.json": settings })
        const args = ["build/llamero.js", "serve", "--config", join(folder, "llamero.json")]
        const own = yield* start([...runtimes.node, ...args])
        const set = yield* start([...runtimes.node, "--max-semi-space-size=32", ...args])
        for (const running of [own, set]) yield* prints(running, /listening on/)
        // It is the same process still.
        assert.include(commandOf(own.child.pid), "--max-semi-space-size=16")
        assert.notInclude(commandOf(set.child.pid), "--max-semi-space-size=16")
      }),
    120_000,
  )

  it.live(
    "loads plugin files that a file of settings names, and runs from its sources then",
    () =>
      Effect.gen(function* () {
        yield* built
        const folder = yield* folderOf({
          "llamero.yaml": "port: 0\nbackends: [http://127.0.0.1:9]\nplugins: [DIR/one.ts]\n",
          "one.ts": `export default { kind: "guard", name: "one", check: (request) => ({ _tag: "Pass", request }) }`,
          "hook.mjs": `import { registerHooks } from "node:module"
registerHooks({ load: (url, context, next) => (/one|PluginFiles/.test(url) && console.log(url), next(url, context)) })`,
        })
        const args = ["build/llamero.js", "serve", "--config", join(folder, "llamero.yaml")]
        const running = yield* start([...runtimes.node, ...args], {
          NODE_OPTIONS: `--import ${join(folder, "hook.mjs")}`,
        })
        yield* prints(running, /listening on/)
        assert.match(running.printed(), /src\/layers\/PluginFiles\.ts\n[^]*\/one\.ts\n/)
      }),
    120_000,
  )
})
