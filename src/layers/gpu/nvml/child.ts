/**
 * The helper process as its parent sees it.
 *
 * Not `effect/process`: its scope waits for a killed child to be gone, and a child that hangs in a driver never is.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { spawn } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import type { Ask, Line } from "./protocol.ts"

/** @category models @since 0.1.0 */
export interface Child {
  readonly pid: number | undefined
  readonly send: (ask: Ask) => void
  /** Sends SIGKILL and lets go of it. Whether it is then gone is for `gone` to say. */
  readonly kill: () => void
  readonly gone: () => boolean
  /** Whether it has the library open. */
  readonly opened: () => boolean
  /** Replaces the listener. A child that is gone, or cannot be started, tells the next one at once. */
  readonly listen: (listener: Listener) => void
}

/** @category models @since 0.1.0 */
export interface Listener {
  readonly line: (line: Line) => void
  readonly ended: (why: string) => void
}

/** Of what it prints about its own end. */
const stderrMax = 2_000

/** The compiled package has the helper as JavaScript. */
const file = new URL(`./helper${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)
const path = file.protocol === "file:" ? fileURLToPath(file) : file.href

/** Deno's right to call libraries cannot be narrowed to one that is found by name. */
const args = "Deno" in globalThis
  ? ["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote", "--allow-ffi", path]
  : [path]

/** A library may print something of its own. */
const parse = Option.liftThrowable((line: string): Line => JSON.parse(line))

/** Set in the helper's environment. A program that was compiled into one file is its own runtime: it would run itself as the helper, which would do the same. */
const mark = "LLAMERO_NVML_HELPER"

/** Whether this process was started as a helper. @category guards @since 0.1.0 */
export const isHelper = (): boolean => process.env[mark] !== undefined

/** Starts the helper: by `command`, or with the runtime that runs this. @category constructors @since 0.1.0 */
export const start = (env: Readonly<Record<string, string>>, command: ReadonlyArray<string> | undefined): Child => {
  const [runtime = process.execPath, ...words] = command ?? [process.execPath, ...args]
  const child = spawn(runtime, words, {
    env: { ...process.env, ...env, [mark]: "1" },
    stdio: "pipe",
    windowsHide: true,
  })
  let listener: Listener | undefined
  let why: string | undefined
  let opened = false
  let rest = ""
  let printed = ""

  // A parent that exits in the middle of a hung call leaves no helper behind.
  const kill = (): boolean => child.kill("SIGKILL")
  process.on("exit", kill)
  const end = (reason: string): void => {
    why ??= reason
    process.off("exit", kill)
  }
  const receive = (text: string): void => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const said = Option.getOrUndefined(parse(line))
      if (said === undefined) continue
      if ("opened" in said) opened = true
      listener?.line(said)
    }
  }
  child.stdout.setEncoding("utf8").on("data", receive)
  child.stderr.setEncoding("utf8").on("data", (text: string) => printed = (printed + text).slice(-stderrMax))
  child.stdin.on("error", () => {}) // It ended; "exit" says so.
  child.once("error", (error) => {
    if (child.pid !== undefined) return
    end(`cannot be started: ${error.message}`)
    listener?.ended(why ?? "")
  })
  child.once("exit", (code, signal) => end(`ended with ${signal ?? code}`))
  // Its last words may come after its end.
  child.once("close", () => listener?.ended([why ?? "ended", printed.trim()].filter((part) => part !== "").join(": ")))

  return {
    pid: child.pid,
    send: (ask) => child.stdin.write(JSON.stringify(ask) + "\n"),
    kill: () => {
      kill()
      // What cannot be killed must not keep the parent from ending.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
      child.unref()
    },
    gone: () => why !== undefined,
    opened: () => opened,
    listen: (next) => {
      listener = next
      if (why !== undefined) next.ended(why)
    },
  }
}
