/**
 * Uses the command of the packed tarball from empty folders: with the Node and npm of the system, where that is Node
 * 20, the oldest one that llamero runs on; and with Deno and no Node. `npm run pack:try` calls it.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"

const root = join(import.meta.dirname, "..")

/** Where the system has its programs: not those of this repository. */
const path = "/usr/local/bin:/usr/bin:/bin"

/** An environment without settings, and without what npm tells the programs that it runs. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(LLAMERO|OLLAMA|OTEL|npm)_|^NODE_(OPTIONS|PATH)$/.test(name)),
  ),
  PATH: path,
}

const check = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`not so: ${what}`)
  console.log(`ok: ${what}`)
}

/** The version of the system's Node, such as `v20.20.2`. */
const systemNode = (): string => {
  try {
    return execFileSync("node", ["--version"], { env, encoding: "utf8" }).trim()
  } catch {
    return "none"
  }
}

/** Runs the command until it has printed its banner and answered. */
const answers = async (
  command: ReadonlyArray<string>,
  cwd: string,
  ask: (url: string) => Promise<boolean>,
): Promise<boolean> => {
  const [program = "", ...args] = command
  // A group of its own: npx starts a shell, and that the command.
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "inherit"] })
  const gone = once(child, "exit")
  try {
    let printed = ""
    const url = await new Promise<string>((done, fail) => {
      child.stdout!.on("data", (chunk) => {
        printed += chunk
        const found = /listening on (http:\/\/[\d.]+:\d+)/.exec(printed)
        if (found !== null) done(found[1]!)
      })
      gone.then(() => fail(new Error(`it ended:\n${printed}`)), fail)
      setTimeout(() => fail(new Error(`no banner in two minutes:\n${printed}`)), 120_000).unref()
    })
    return await ask(url)
  } finally {
    try {
      process.kill(-child.pid!, "SIGKILL")
    } catch { /* It has ended. */ }
    await gone
  }
}

/** The page, and an answer of the simulated fleet. */
const asks = async (url: string): Promise<boolean> => {
  const page = await fetch(`${url}/ui`)
  const body = JSON.stringify({ model: "llama3.1:8b", stream: false, messages: [{ role: "user", content: "hi" }] })
  const chat = await fetch(`${url}/api/chat`, { method: "POST", body })
  return page.status === 200 && /<script/.test(await page.text()) && (await chat.json()).done === true
}

/** The router of a user, on the system's Node: installed, compiled and run. */
const library = async (tarball: string, folder: string, router: string, ask: () => Promise<boolean>): Promise<void> => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }))
  const quiet = ["--no-audit", "--no-fund"]
  execFileSync("npm", ["install", ...quiet, tarball, "typescript", "@types/node"], {
    cwd: folder,
    env,
    stdio: "inherit",
  })
  writeFileSync(join(folder, "router.ts"), router)
  const options = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck", "--types", "node"]
  execFileSync("npx", ["tsc", ...options, "router.ts"], { cwd: folder, env, stdio: "inherit" })
  const child = spawn("node", ["router.js"], { cwd: folder, env, stdio: ["ignore", "inherit", "inherit"] })
  const gone = once(child, "exit")
  try {
    let isRight = false
    for (let tries = 0; tries < 100 && !isRight && child.exitCode === null; tries++) {
      await new Promise((done) => setTimeout(done, 200))
      isRight = await ask().catch(() => false)
    }
    check(isRight, "Node 20: the README's router is installed, compiled, and answers")
  } finally {
    child.kill("SIGKILL")
    await gone
  }
}

/** `router` is the text of a router, and `ask` says whether it answers. */
export const tryCommand = async (tarball: string, router: string, ask: () => Promise<boolean>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "llamero-command-"))
  const inside = (name: string): string => {
    mkdirSync(join(folder, name))
    return join(folder, name)
  }
  try {
    const version = systemNode()
    if (/^v20\./.test(version)) {
      // npx takes a path for a command, unless it begins with a dot or a scheme.
      const command = ["npx", "--yes", `file:${tarball}`, "serve", "--demo", "--port", "0"]
      check(await answers(command, inside("npx"), asks), `npx with Node ${version}: serve --demo shows its page`)
      await library(tarball, inside("library"), router, ask)
    } else console.log(`skipped: the command on Node 20; the system has ${version}`)

    const unpacked = inside("deno")
    execFileSync("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"])
    const deno = join(root, "node_modules/.bin/deno")
    execFileSync(deno, ["install", "--quiet"], { cwd: unpacked, env, stdio: "inherit" })
    check(existsSync(join(unpacked, "bundle/llamero.js")), "the package has the bundle")
    const command = [deno, "run", "-A", "--quiet", "bundle/llamero.js", "serve", "--demo", "--port", "0"]
    check(await answers(command, unpacked, asks), "Deno without Node: serve --demo shows its page")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
