/**
 * The helper process, seen from its parent.
 *
 * Not `effect/process`: its scope waits until a killed child is gone, and a child that hangs in a driver never is.
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
  /** Sends SIGKILL and detaches from the process. `gone` says whether the process has ended. */
  readonly kill: () => void
  readonly gone: () => boolean
  /** Whether the helper has the library open. */
  readonly opened: () => boolean
  /** Replaces the listener. If the child is gone or cannot be started, `ended` is called at once. */
  readonly listen: (listener: Listener) => void
}

/** @category models @since 0.1.0 */
export interface Listener {
  readonly line: (line: Line) => void
  readonly ended: (why: string) => void
}

/** Most characters kept of what the helper prints on stderr. */
const stderrMax = 2_000

/** In the compiled package the helper is a JavaScript file. */
const file = new URL(`./helperProcess${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)
const path = file.protocol === "file:" ? fileURLToPath(file) : file.href

/** Deno's `--allow-ffi` cannot be limited to a library that is found by name. */
const args = "Deno" in globalThis
  ? ["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote", "--allow-ffi", path]
  : [path]

/** None for a line that is not JSON: a library may print something itself. */
const parse = Option.liftThrowable((line: string): Line => JSON.parse(line))

/**
 * Is set in the environment of the helper. A program that is compiled into one file is its own runtime, so it would run
 * itself as the helper, and that helper would start another one.
 */
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

  // So that no helper is left when the parent exits in the middle of a hung call.
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
  child.stdin.on("error", () => {}) // The process has ended; "exit" reports it.
  child.once("error", (error) => {
    if (child.pid !== undefined) return
    end(`cannot be started: ${error.message}`)
    listener?.ended(why ?? "")
  })
  child.once("exit", (code, signal) => end(`ended with ${signal ?? code}`))
  // The last output may come after "exit".
  child.once("close", () => listener?.ended([why ?? "ended", printed.trim()].filter((part) => part !== "").join(": ")))

  return {
    pid: child.pid,
    send: (ask) => child.stdin.write(JSON.stringify(ask) + "\n"),
    kill: () => {
      kill()
      // A child that cannot be killed must not keep the parent from ending.
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
