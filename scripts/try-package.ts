/**
 * Uses the packed tarball as a user of the package would: `npm run pack:try`. In an empty Node project and in an empty
 * Deno project it runs the router of the README against a simulated Ollama, from TypeScript and from JavaScript; with
 * Deno alone, from the sources as JSR has them. It also checks what is in the tarball, its types, and which modules one
 * plugin imports.
 */
import { Effect } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as SimulatedOllamaServer from "../src/simulated/SimulatedOllamaServer.ts"
import { check, inspect, installsNoMore } from "./inspectPackage.ts"
import { manifest, pack } from "./pack.ts"
import { tryCommand } from "./try-command.ts"

const root = join(import.meta.dirname, "..")
const bin = (name: string) => join(root, "node_modules/.bin", name)
const project = mkdtempSync(join(tmpdir(), "llamero-package-"))
const file = (name: string) => join(project, name)
const port = 18_435

/** The first TypeScript block of the README, with the addresses of the simulated Ollama. */
const router = (ollama: string): string => {
  const block = /^```ts\n([\s\S]*?)^```/m.exec(readFileSync(join(root, "README.md"), "utf8"))
  if (block === null) throw new Error("README.md has no TypeScript block")
  // A fleet may not have the same address twice.
  return block[1]!.replace("http://10.0.0.4:11434", ollama)
    .replace("http://10.0.0.5:11434", ollama.replace("127.0.0.1", "localhost"))
    .replace("port: 11435", `port: ${port}`)
}

/** Whether a router answers one chat. */
const chats = async (): Promise<boolean> => {
  const reply = await fetch(`http://127.0.0.1:${port}/api/chat`, {
    method: "POST",
    body: JSON.stringify({ model: "tiny-eos", stream: false, messages: [{ role: "user", content: "hi" }] }),
  }).catch(() => undefined)
  if (reply?.status === 200) return (await reply.json()).done === true
  await reply?.body?.cancel()
  return false
}

/** Runs the router until it has answered one chat. */
const answers = async (command: ReadonlyArray<string>, cwd: string = project): Promise<boolean> => {
  const [program = "", ...rest] = command
  const child = spawn(program, rest, { cwd, stdio: ["ignore", "inherit", "inherit"] })
  const gone = once(child, "exit")
  try {
    for (let tries = 0; tries < 150 && child.exitCode === null; tries++) {
      await new Promise((done) => setTimeout(done, 200))
      if (await chats()) return true
    }
    return false
  } finally {
    child.kill("SIGKILL")
    await gone
  }
}

/** Every module that Node reads for one import. */
const reads = (specifier: string): ReadonlyArray<string> => {
  writeFileSync(
    file("hook.mjs"),
    `import { registerHooks } from "node:module"
import { writeSync } from "node:fs"
registerHooks({ load(url, context, next) { writeSync(1, url + "\\n"); return next(url, context) } })
await import(${JSON.stringify(specifier)})`,
  )
  return execFileSync(bin("node"), ["hook.mjs"], { cwd: project, encoding: "utf8" }).trim().split("\n")
}

/** With Deno alone: the package as it is on JSR, in a project that has no node_modules and no package.json. */
const tryJsr = async (source: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "llamero-jsr-"))
  const { dependencies, optionalDependencies, version } = manifest()
  // JSR writes the dependencies of package.json into the imports of the sources; a link does not.
  const needed = Object.entries({ ...dependencies, ...optionalDependencies }).flatMap(([name, range]) => [
    [name, `npm:${name}@${range}`],
    [`${name}/`, `npm:/${name}@${range}/`],
  ])
  const { name } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"))
  const imports = {
    ...Object.fromEntries(needed),
    llamero: `jsr:${name}@${version}`,
    "llamero/": `jsr:/${name}@${version}/`,
  }
  try {
    writeFileSync(join(folder, "deno.json"), JSON.stringify({ links: [root], imports }))
    writeFileSync(join(folder, "router.ts"), source)
    execFileSync(bin("deno"), ["check", "--quiet", "router.ts"], { cwd: folder, stdio: "inherit" })
    check(true, "JSR: the README's router compiles")
    check(await answers([bin("deno"), "run", "-A", "router.ts"], folder), "JSR: the README's router answers")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const run = async (ollama: string): Promise<void> => {
  const packed = pack()
  inspect(packed)
  writeFileSync(file("package.json"), JSON.stringify({ name: "user", private: true, type: "module" }))
  execFileSync("npm", ["install", "--no-audit", "--no-fund", packed.tarball], { cwd: project, stdio: "inherit" })
  installsNoMore(project)
  const source = router(ollama)
  writeFileSync(file("router.ts"), source)
  writeFileSync(
    file("kit.ts"),
    `import { LeastBusyScorer } from "llamero"
import { type Check, PluginContract } from "llamero/testing"
export const checks: ReadonlyArray<Check> = PluginContract.scorer(LeastBusyScorer.make())`,
  )
  check(await answers([bin("node"), "router.ts"]), "Node: the README's router in TypeScript answers")

  writeFileSync(
    file("tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        module: "nodenext",
        target: "es2024",
        strict: true,
        noEmit: true,
        types: [],
        skipLibCheck: false,
      },
      include: ["router.ts", "kit.ts"],
    }),
  )
  execFileSync(bin("tsc"), ["-p", "."], { cwd: project, stdio: "inherit" })
  check(true, "its types resolve, declarations checked too")
  execFileSync(bin("tsc"), ["-p", ".", "--noEmit", "false", "--outDir", "js"], { cwd: project, stdio: "inherit" })
  check(await answers([bin("node"), "js/router.js"]), "Node: the same in JavaScript answers")

  writeFileSync(file("deno.json"), JSON.stringify({ nodeModulesDir: "manual" }))
  check(await answers([bin("deno"), "run", "-A", "router.ts"]), "Deno: the README's router answers")
  await tryJsr(source)

  writeFileSync(
    file("kit.mjs"),
    `import { Effect } from "effect"
import { LeastBusyScorer, Standard } from "llamero"
import { PluginContract, RouterContract, violations } from "llamero/testing"
const right = [...PluginContract.scorer(LeastBusyScorer.make()), ...RouterContract.histories(Standard.layer(), { runs: 20 })]
const wrong = PluginContract.scorer({ kind: "scorer", name: "wrong", score: () => 2 })
const found = await Effect.runPromise(violations([...right, ...wrong]))
console.log(found.map(({ check }) => check).join())`,
  )
  const violated = execFileSync(bin("node"), ["kit.mjs"], { cwd: project, encoding: "utf8" }).trim()
  check(
    violated === "rates every backend in [0, 1], and the same way again",
    "the test kit in JavaScript: right ones pass, a wrong scorer is caught",
  )

  const plugin = reads("llamero/plugins/filters/HealthyFilter")
  check(plugin.length < 10, `one plugin reads ${plugin.length} of llamero's modules`)
  check(!plugin.some((url) => /undici|koffi|platform-node/.test(url)), "one plugin reads neither undici nor koffi")
  const barrel = reads("llamero")
  check(!barrel.some((url) => /undici|koffi|platform-node/.test(url)), "the barrel reads neither undici nor koffi")

  await tryCommand(packed.tarball, source, chats)
}

const main = Effect.gen(function* () {
  const { url } = yield* SimulatedOllamaServer.make()
  yield* Effect.promise(() => run(url))
})

try {
  await Effect.runPromise(Effect.scoped(main))
} finally {
  rmSync(project, { recursive: true, force: true })
}
process.exit(0)
