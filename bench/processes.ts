/** Child processes: started, watched, measured and always stopped at the end, by their process id. */
import { type ChildProcess, spawn } from "node:child_process"
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** A file to which its stdout is added. By default the last of it is kept, to say why a process has ended. */
  readonly log?: string
}

export interface Child {
  readonly pid: number
  /** Why it has ended, or `undefined` while it runs. */
  readonly gone: () => string | undefined
  readonly stop: () => Promise<void>
}

const STOP_WITHIN_MS = 3000
const SAID_BYTES = 2000

/** For generated configurations and scripts; removed at the end. */
export const scratch = mkdtempSync(join(tmpdir(), "llamero-bench-"))

const running = new Set<ChildProcess>()

/** Stops every child and waits until it has ended. */
export const stopAll = async (): Promise<void> => {
  await Promise.all([...running].map((child) => end(child)))
}

const end = async (child: ChildProcess): Promise<void> => {
  child.kill("SIGTERM")
  for (let waited = 0; running.has(child) && waited < STOP_WITHIN_MS; waited += 20) await sleep(20)
  if (running.has(child)) child.kill("SIGKILL")
}

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  rmSync(scratch, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => void stopAll().finally(() => process.exit(130)))
}

/** The settings in the user's environment must not change what is measured. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(LLAMERO|OLLAMA|OTEL_|NODE_OPTIONS|DENO_V8_FLAGS)/.test(name)),
)

const spawned = (command: Command, cores: string | undefined): ChildProcess => {
  const [file, ...args] = cores === undefined
    ? [command.file, ...command.args]
    // taskset replaces itself with the command, so the pid is the command's.
    : ["taskset", "-c", cores, command.file, ...command.args]
  const log = command.log === undefined ? undefined : openSync(command.log, "a")
  const child = spawn(file!, args, {
    env: { ...environment, ...command.env },
    cwd: command.cwd,
    stdio: ["ignore", log ?? "pipe", "pipe"],
  })
  if (log !== undefined) closeSync(log)
  running.add(child)
  child.once("close", () => {
    running.delete(child)
    families.delete(child.pid ?? 0)
  })
  child.once("error", () => running.delete(child))
  return child
}

/** `cores` in the format of taskset; `undefined` inherits those of this process. */
export const start = (command: Command, cores: string | undefined): Child => {
  const child = spawned(command, cores)
  let said = ""
  let gone: string | undefined
  const listen = (text: string) => said = (said + text).slice(-SAID_BYTES)
  child.stdout?.setEncoding("utf8").on("data", listen)
  child.stderr?.setEncoding("utf8").on("data", listen)
  child.once("error", (error) => gone = error.message)
  child.once("close", (code, signal) => gone ??= `ended with ${signal ?? code}: ${said.trim()}`)
  return { pid: child.pid ?? 0, gone: () => gone, stop: () => end(child) }
}

/** Runs a command to its end and returns its stdout. */
export const output = (command: Command): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawned(command, undefined)
    let text = ""
    let complaint = ""
    child.stdout!.setEncoding("utf8").on("data", (part: string) => text += part)
    child.stderr!.setEncoding("utf8").on("data", (part: string) => complaint += part)
    child.once("error", reject)
    child.once("close", (code) => code === 0 ? resolve(text) : reject(new Error(`${command.file}: ${complaint}`)))
  })

/**
 * The path of a program. The sbin folders are searched too, because proxies are there and the PATH of users leaves them
 * out.
 */
export const which = (program: string): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin"]
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

const TICKS_A_SECOND = 100

/** The fields of /proc/PID/stat after the program's name, which may hold blanks and ends at the last parenthesis. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  const stat = read(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
}

const families = new Map<number, ReadonlyArray<number>>()

/**
 * A process and those that it has started: a server may start itself again with other flags. Looked up once for each
 * process, when it is first measured.
 */
const family = (pid: number): ReadonlyArray<number> => {
  const known = families.get(pid)
  if (known !== undefined) return known
  const all = (existsSync("/proc") ? readdirSync("/proc") : []).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map(all.map((one) => [one, Number(statOf(one)?.[1])]))
  const below = (root: number): ReadonlyArray<number> => [
    root,
    ...all.filter((one) => parents.get(one) === root).flatMap(below),
  ]
  const found = below(pid)
  families.set(pid, found)
  return found
}

/** The sum over a process and those that it has started; `undefined` where there is no /proc. */
const overFamily = (pid: number, of: (pid: number) => number | undefined): number | undefined => {
  const values = family(pid).map(of).filter((value) => value !== undefined)
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}

/** CPU seconds of all threads, user and system; `undefined` where there is no /proc. */
export const cpuSeconds = (pid: number): number | undefined =>
  overFamily(pid, (one) => {
    const fields = statOf(one)
    return fields && (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
  })

/** Seconds that a core was busy, for any program. */
export const coreSeconds = (core: string): number | undefined => {
  const line = new RegExp(`^cpu${core} (.*)$`, "m").exec(read("/proc/stat") ?? "")?.[1]
  if (line === undefined) return undefined
  const [user = 0, nice = 0, system = 0, _idle, _iowait, irq = 0, softirq = 0, steal = 0] = line.split(" ").map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND
}

export const rssMiB = (pid: number): number | undefined =>
  overFamily(pid, (one) => {
    const kibibytes = /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${one}/status`) ?? "")?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) / 1024
  })
