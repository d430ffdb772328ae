/** The routers and proxies beside which llamero is measured. Each must be installed already; nothing is built here. */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Command, scratch, which } from "../processes.ts"
import { haproxyCfg } from "../proxies/haproxy.ts"
import { nginxConf } from "../proxies/nginx.ts"
import { type Target, targets } from "../targets.ts"
import * as configurations from "./configurations.ts"

export type Api = "ollama" | "openai"
export const apis: ReadonlyArray<Api> = ["ollama", "openai"]

export interface Peer {
  readonly target: Target
  /** The APIs through which it is measured, with the path of a chat. */
  readonly paths: Readonly<Partial<Record<Api, string>>>
  readonly headers?: (upstream: number) => Readonly<Record<string, string>>
  /** Asks the program. Not called if it is missing. */
  readonly version: () => string
}

const CHAT = { ollama: "/api/chat", openai: "/v1/chat/completions" }
/** Some of them import hundreds of modules before they listen. */
const READY_WITHIN_MS = 300_000

const isThere = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

interface Found {
  readonly file: string
  readonly missing?: string
}

/** The path in `PEER_<NAME>`, or else the program in `PATH`. A script for an interpreter need not be executable. */
const find = (program: string, mode: number = constants.X_OK): Found => {
  const variable = `PEER_${program.toUpperCase().replaceAll("-", "_")}`
  const given = process.env[variable]
  if (given !== undefined) {
    return isThere(given, mode) ? { file: given } : { file: given, missing: `${variable} names no program: ${given}` }
  }
  const file = which(program)
  return file === undefined
    ? { file: program, missing: `not installed: put ${program} into PATH, or its path into ${variable}` }
    : { file }
}

const written = (name: string, text: string): string => {
  const path = join(scratch, name)
  writeFileSync(path, text)
  return path
}

/** What a program prints about its version, on either output. */
const says = (file: string, ...args: ReadonlyArray<string>): string => {
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8", timeout: READY_WITHIN_MS })
  const text = `${stdout}\n${stderr}`
  return (/\d+\.\d+[\w.+-]*/.exec(text) ?? /(?<=version: )\S+/.exec(text))?.[0] ?? "unknown version"
}

const versionIn = (file: string): string => JSON.parse(readFileSync(file, "utf8")).version

interface Described extends Omit<Peer, "target" | "version"> {
  readonly name: string
  readonly ready: string
  readonly mode?: number
  readonly version: (file: string) => string
  readonly command: (file: string, port: number, upstream: number) => Command
}

const peer = ({ name, ready, mode, version, command, ...rest }: Described): Peer => {
  const { file, missing } = find(name, mode)
  const target = {
    name,
    command: (port: number, upstream: number) => command(file, port, upstream),
    ready,
    readyWithinMs: READY_WITHIN_MS,
    missing,
  }
  return { ...rest, target, version: () => version(file) }
}

const known = (name: string, version: () => string): Peer => ({
  target: targets.find((target) => target.name === name)!,
  paths: CHAT,
  version,
})

/** LiteLLM does not start without a key. It is made for this run. */
const litellmKey = `sk-${randomBytes(32).toString("hex")}`

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The upstream itself: the times that are added are added to its own. */
export const direct = known("direct", () => "")

export const peers: ReadonlyArray<Peer> = [
  known("llamero", () => versionIn(join(root, "package.json"))),
  known("node-http", () => process.versions.node),
  peer({
    name: "nginx",
    paths: { ollama: CHAT.ollama },
    ready: "/api/version",
    version: (file) => says(file, "-v"),
    command: (file, port, upstream) => ({
      file,
      args: ["-e", "stderr", "-p", scratch, "-c", written(`nginx-${port}.conf`, nginxConf(port, upstream, scratch))],
    }),
  }),
  peer({
    name: "haproxy",
    paths: { ollama: CHAT.ollama },
    ready: "/api/version",
    version: (file) => says(file, "-v"),
    command: (file, port, upstream) => ({
      file,
      args: ["-q", "-db", "-f", written(`haproxy-${port}.cfg`, haproxyCfg(port, upstream))],
    }),
  }),
  peer({
    name: "olla",
    paths: { ollama: "/olla/ollama/api/chat" },
    ready: "/internal/health",
    version: (file) => says(file, "--version"),
    command: (file, port, upstream) => ({
      file,
      args: ["--config", written(`olla-${port}.yaml`, configurations.ollaYaml(port, upstream))],
      // By default it writes a line about each request, and that to a file as well.
      env: { OLLA_LOG_LEVEL: "error", OLLA_FILE_OUTPUT: "false" },
    }),
  }),
  peer({
    name: "ollama-router",
    paths: { ollama: CHAT.ollama },
    ready: "/healthz",
    version: (file) => says(file, "--version"),
    command: (file, port, upstream) => {
      const folder = join(scratch, `ollama-router-${port}`)
      mkdirSync(folder)
      return {
        file,
        args: ["serve", "--host", "127.0.0.1", "--port", String(port)],
        env: {
          OLLAMA_ROUTER_CONFIG: written(`overlay-${port}.yaml`, configurations.ollamaRouterOverlay(folder)),
          OLLAMA_ROUTER_FLEET: written(`fleet-${port}.yaml`, configurations.ollamaRouterFleet(upstream)),
          OLLAMA_ROUTER_STATE_FILE: join(folder, "state.json"),
          RUST_LOG: "error",
        },
      }
    },
  }),
  peer({
    name: "llama-swap",
    paths: { openai: CHAT.openai },
    ready: "/health",
    version: (file) => says(file, "--version"),
    command: (file, port, upstream) => ({
      file,
      args: [
        "--listen",
        `127.0.0.1:${port}`,
        "--config",
        written(`llama-swap-${port}.yaml`, configurations.llamaSwapYaml(upstream)),
      ],
    }),
  }),
  peer({
    name: "portkey",
    mode: constants.R_OK,
    paths: { openai: CHAT.openai },
    headers: (upstream) => ({
      "x-portkey-provider": "ollama",
      "x-portkey-custom-host": `http://127.0.0.1:${upstream}`,
    }),
    ready: "/",
    version: (file) => versionIn(join(dirname(file), "../package.json")),
    command: (file, port) => ({
      file: process.execPath,
      args: [file, `--port=${port}`, "--headless"],
      env: { NODE_ENV: "production" },
    }),
  }),
  peer({
    name: "litellm",
    paths: { openai: CHAT.openai },
    headers: () => ({ authorization: `Bearer ${litellmKey}` }),
    ready: "/health/liveliness",
    version: (file) => says(file, "--version"),
    command: (file, port, upstream) => ({
      file,
      args: [
        "--host",
        "127.0.0.1",
        "--port",
        String(port),
        "--num_workers",
        "1",
        "--telemetry",
        "False",
        "--config",
        written(`litellm-${port}.yaml`, configurations.litellmYaml(upstream)),
      ],
      env: {
        LITELLM_MASTER_KEY: litellmKey,
        LITELLM_MODE: "PRODUCTION",
        LITELLM_LOG: "ERROR",
        // It would otherwise ask a server on the internet for prices when it starts.
        LITELLM_LOCAL_MODEL_COST_MAP: "True",
      },
    }),
  }),
]
