/**
 * The environment variables of Ollama: from a file, or from its process on this machine where that can be read.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem, Option } from "effect"
import { variables } from "../../../layers/Settings.ts"
import type { Backend } from "../../../services/Fleet.ts"
import type { ObservedEnvironment } from "../observations.ts"
import type { Env } from "../ollamaVariables.ts"
import { hostOf } from "./hosts.ts"

/** Names that checks look at. The others may be secrets, and are not kept. */
const looked = /^(OLLAMA_(?!API_KEY)|LLAMA_ARG_|CUDA_|PYTORCH_)/

/** The variables that checks look at. */
export const relevant = (env: Readonly<Record<string, string | undefined>>): Env =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => value !== undefined && looked.test(name) ? [[name, value]] : []),
  )

const unquoted = (text: string): string => /^(["'])(.*)\1$/s.exec(text.trim())?.[2] ?? text.trim()

/** Each `NAME=value`, `"NAME=value"` or `NAME="value"` of the text behind `Environment=` in a unit of systemd. */
const assignments = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/"([^"]*)"|'([^']*)'|(\w+=(?:"[^"]*"|'[^']*'|\S*))/g), ([, a, b, c]) => a ?? b ?? c ?? "")

/**
 * Variables in a file: lines of `NAME=value`, as for `docker run --env-file`, with or without `export`; or a unit of
 * systemd, also as `systemctl cat ollama` prints it.
 */
export const parseFile = (text: string): Env => {
  const found = text.split(/\r?\n/).map((line) => line.trim().replace(/^export\s+/, "")).flatMap((line) =>
    line.startsWith("#") || line.startsWith(";")
      ? []
      : line.startsWith("Environment=")
      ? assignments(line.slice("Environment=".length))
      : [line]
  )
  return relevant(Object.fromEntries(found.flatMap((line) => {
    const at = line.indexOf("=")
    return at > 0 ? [[line.slice(0, at).trim(), unquoted(line.slice(at + 1))]] : []
  })))
}

/** Blocks of the kernel end each text with a zero. */
const texts = (block: string): ReadonlyArray<string> => block.split("\0").filter((text) => text !== "")

interface Process {
  readonly pid: string
  readonly values: Env
  /** The port on which it listens. */
  readonly port: string
  /** Whether it has the network of this process, so that its port is a port of this machine. */
  readonly isHere: boolean
}

const portOf = (env: Env): string => {
  const host = env["OLLAMA_HOST"]
  return new URL((host === undefined ? undefined : variables.ollamaHost.parse(host)) ?? "http://127.0.0.1:11434")
    .port ||
    "80"
}

/** The `ollama serve` of a process id; none where it is another program, or cannot be read. */
const serving = (files: FileSystem.FileSystem, proc: string, pid: string) =>
  Effect.gen(function* () {
    const name = yield* files.readFileString(`${proc}/${pid}/comm`)
    if (name.trim() !== "ollama") return Option.none<Process>()
    const command = texts(yield* files.readFileString(`${proc}/${pid}/cmdline`))
    if (!command.includes("serve")) return Option.none<Process>()
    const block = texts(yield* files.readFileString(`${proc}/${pid}/environ`))
    const values = relevant(Object.fromEntries(block.map((line) => {
      const at = line.indexOf("=")
      return [line.slice(0, at), line.slice(at + 1)]
    })))
    const network = (id: string) => Effect.orElseSucceed(files.readLink(`${proc}/${id}/ns/net`), () => "")
    const isHere = (yield* network(pid)) === (yield* network("self"))
    return Option.some<Process>({ pid, values, port: portOf(values), isHere })
  }).pipe(Effect.orElseSucceed(() => Option.none<Process>()))

const port = ({ url }: Backend): string => new URL(url).port || (url.startsWith("https:") ? "443" : "80")

/** The `ollama serve` processes of this machine that are backends. `root` is the folder that has `/proc`. */
export const fromProcesses = (
  backends: ReadonlyArray<Backend>,
  root: string,
): Effect.Effect<ReadonlyArray<ObservedEnvironment>, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const local = backends.filter((backend) => hostOf(backend) === "localhost")
    if (local.length === 0) return []
    const proc = `${root}/proc`
    const pids = (yield* files.readDirectory(proc)).filter((name) => /^\d+$/.test(name))
    const found = yield* Effect.forEach(pids, (pid) => serving(files, proc, pid), { concurrency: 16 })
    const processes = found.flatMap(Option.toArray)
    // The port of a container may be another one outside.
    const isOnly = processes.length === 1 && local.length === 1
    return processes.flatMap(({ isHere, pid, port: own, values }): ReadonlyArray<ObservedEnvironment> => {
      const ids = local.filter((backend) => isOnly || (isHere && port(backend) === own)).map(({ id }) => id)
      return ids.length === 0 ? [] : [{ of: "ollama", from: `process ${pid}`, backends: ids, values }]
    })
  }).pipe(Effect.orElseSucceed(() => []))
