/** Programs that are measured: started with the probe in them, asked, and ended. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { setTimeout as sleep } from "node:timers/promises"
import process from "node:process"
import { freePort } from "../freePort.ts"
import type { Answer, Ask, Commands } from "./probe.ts"

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The young generation is so large that a round of measuring needs no scavenge, and none is between two numbers. */
export const roomy = ["--min-semi-space-size=512", "--max-semi-space-size=512"]
/** As `npm start` runs the server. */
export const asShipped = ["--max-semi-space-size=16"]

export interface Program {
  readonly name: string
  readonly file: string
  /** Arguments and environment for the port on which it listens, and the port of the upstream. */
  readonly args?: (port: number, upstream: number) => ReadonlyArray<string>
  readonly env?: (port: number, upstream: number) => Readonly<Record<string, string>>
  /** The path that answers 200 once it serves; `undefined` for a program without a server. */
  readonly ready?: string
}

const ports = (port: number, upstream: number) => [String(port), String(upstream)]

/** llamero with limits so high that it refuses nothing, and the two proxies, which show what is not its own. */
export const llamero: Program = {
  name: "llamero",
  file: local("../../src/command/serve/server.ts"),
  env: (port, upstream) => ({
    LLAMERO_HOST: "127.0.0.1",
    LLAMERO_PORT: String(port),
    LLAMERO_BACKENDS: `http://127.0.0.1:${upstream}`,
    LLAMERO_PARALLELISM: "100000",
    LLAMERO_STREAMS_PER_BACKEND: "100000",
    LLAMERO_QUEUE_CAPACITY: "100000",
    LLAMERO_LOG_LEVEL: "Warning",
  }),
  ready: "/readyz",
}
export const nodeHttp: Program = {
  name: "node-http",
  file: local("../proxies/http.ts"),
  args: ports,
  ready: "/api/version",
}
export const undici: Program = {
  name: "undici",
  file: local("../proxies/undici.ts"),
  args: ports,
  ready: "/api/version",
}
const upstream: Program = {
  name: "upstream",
  file: local("../upstream.ts"),
  args: (port) => [String(port)],
  ready: "/api/version",
}
export const routerAlone: Program = { name: "router", file: local("./router.ts") }

export interface Measured {
  readonly port: number
  readonly ask: <Name extends keyof Commands>(name: Name, file?: string) => Promise<Awaited<ReturnType<Commands[Name]>>>
  /** Sends a program's own command; see `router.ts`. */
  readonly tell: (message: object) => Promise<unknown>
  readonly stop: () => Promise<void>
}

const readyWithinMs = 60_000

/** Resolves when it answers 200. Rejects when it has ended, or takes too long. */
const served = async (url: string, gone: () => string | undefined): Promise<void> => {
  const deadline = performance.now() + readyWithinMs
  const answers = () =>
    fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(5000) })
      .then(async (answer) => (await answer.arrayBuffer(), answer.status === 200), () => false)
  while (!await answers()) {
    const why = gone()
    if (why !== undefined) throw new Error(why)
    if (performance.now() > deadline) throw new Error(`${url} did not answer 200`)
    await sleep(20)
  }
}

/** The settings in the user's environment must not change what is measured. */
const environment = Object.entries(process.env).filter(([name]) => !/^(LLAMERO|OLLAMA|NODE_OPTIONS|VITEST)/.test(name))

/** Starts a program under `flags`; rejects when it does not serve. */
export const start = async (program: Program, flags: ReadonlyArray<string>, upstream = 0): Promise<Measured> => {
  const port = await freePort()
  const args = ["--expose-gc", ...flags, "--import", new URL("./probe.ts", import.meta.url).href, program.file]
  const child = spawn(process.execPath, [...args, ...program.args?.(port, upstream) ?? []], {
    env: { ...Object.fromEntries(environment), ...program.env?.(port, upstream) },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  })
  let [said, gone, asked] = ["", undefined as string | undefined, 0]
  const waiting = new Map<number, (answer: Answer) => void>()
  child.stderr!.setEncoding("utf8").on("data", (text: string) => said = (said + text).slice(-4000))
  const ended = new Promise<void>((resolve) =>
    child.once("close", (code, signal) => {
      gone = `${program.name} ended with ${signal ?? code}: ${said}`
      for (const [id, settle] of waiting) settle({ id, failed: gone })
      resolve()
    })
  )
  child.on("message", (answer: Answer) => {
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  const tell = (message: object) =>
    new Promise<unknown>((resolve, reject) => {
      if (gone !== undefined) return reject(new Error(gone))
      const id = ++asked
      waiting.set(id, ({ failed, value }) => failed === undefined ? resolve(value) : reject(new Error(failed)))
      child.send({ ...message, id })
    })
  const stop = () => {
    child.kill("SIGKILL")
    return ended
  }
  try {
    if (program.ready !== undefined) await served(`http://127.0.0.1:${port}${program.ready}`, () => gone)
  } catch (error) {
    await stop()
    throw error
  }
  const ask = (name: Ask["name"], file?: string) => tell({ name, file })
  return { port, tell, stop, ask: ask as Measured["ask"] }
}

/** The fake Ollama. */
export const startUpstream = (): Promise<Measured> => start(upstream, [])
