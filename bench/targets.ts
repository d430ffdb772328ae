/** What is measured. A target is a command that listens on a port and forwards to the upstream's. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "./freePort.ts"
import type { Group } from "./options.ts"
import { type Child, type Command, scratch, start, which } from "./processes.ts"
import { haproxyCfg } from "./proxies/haproxy.ts"
import { nginxConf } from "./proxies/nginx.ts"
import { argumentsOf } from "./scripts.ts"

export interface Target {
  readonly name: string
  /** Defaults to Node, or to a program of its own. */
  readonly runtime?: "deno"
  /** It is for the loads of this group only. Defaults to all groups of its runtime. */
  readonly only?: Group
  /** `undefined` for the upstream itself, without a proxy. */
  readonly command?: (port: number, upstream: number) => Command
  /** A path that answers 200 once the target serves. */
  readonly ready: string
  /** Default: 20 seconds. */
  readonly readyWithinMs?: number
  /** Why it cannot be measured here. */
  readonly missing?: string | undefined
}

export interface Instance {
  readonly target: Target
  readonly port: number
  /** The port of the upstream, which also is the collector. */
  readonly upstream: number
  readonly child: Child | undefined
  /** From spawn to ready. */
  readonly readyMs: number
}

const READY_WITHIN_MS = 20_000

/** Limits so high that no request of the bench is shed. Everything else is as shipped. */
export const llameroLimits = {
  LLAMERO_PARALLELISM: "100000",
  LLAMERO_STREAMS_PER_BACKEND: "100000",
  LLAMERO_QUEUE_CAPACITY: "100000",
  LLAMERO_LOG_LEVEL: "Warning",
}

const here = fileURLToPath(new URL("..", import.meta.url))
const local = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const node = (path: string, args: ReadonlyArray<number>): Command => ({
  file: process.execPath,
  args: [local(path), ...args.map(String)],
})

/** Another checkout of this repository, with its dependencies, to compare a change with the commit before it. */
const before = process.env["BENCH_BEFORE"]

/** The command of a script of a checkout's package.json or tasks of its deno.json. */
const script = (checkout: string, file: string, section: string, runtime: string): ReadonlyArray<string> => {
  const { start } = JSON.parse(readFileSync(join(checkout, file), "utf8"))[section]
  const text: string = start.command ?? start
  const args = argumentsOf(text, runtime)
  if (args === undefined) throw new Error(`${file} of ${checkout} does not start the server with ${runtime}: ${text}`)
  return args
}

/** Builds the bundles that `npm start` would build. */
export const buildServers = (): void => {
  for (const checkout of before === undefined ? [here] : [here, before]) {
    const build = join(checkout, "scripts/build.ts")
    if (existsSync(build)) execFileSync(process.execPath, [build], { stdio: "inherit" })
  }
}

const settings = (port: number, env: Readonly<Record<string, string>>) => ({
  LLAMERO_HOST: "127.0.0.1",
  LLAMERO_PORT: String(port),
  ...env,
})

/** As `npm start` of a checkout runs the server, with its flags, but without npm. */
const llamero = (port: number, env: Readonly<Record<string, string>>, checkout = here): Command => ({
  file: process.execPath,
  args: script(checkout, "package.json", "scripts", "node"),
  env: settings(port, env),
  cwd: checkout,
})

const deno = join(here, "node_modules/.bin/deno")
const noDeno = existsSync(deno) ? undefined : "not installed: npm ci"

/** As `deno task start` runs the server. */
const llameroOnDeno = (port: number, env: Readonly<Record<string, string>>): Command => ({
  file: deno,
  args: script(here, "deno.json", "tasks", "deno"),
  env: settings(port, env),
  cwd: here,
})

const installed = (program: string, command: (file: string, port: number, upstream: number) => Command): Target => {
  const file = which(program)
  return {
    name: program,
    command: (port, upstream) => command(file!, port, upstream),
    ready: "/api/version",
    missing: file === undefined ? "not installed" : undefined,
  }
}

const written = (name: string, text: string): string => {
  const path = join(scratch, name)
  writeFileSync(path, text)
  return path
}

/** The environment of a llamero under load. */
const underLoad = (upstream: number) => ({ LLAMERO_BACKENDS: `http://127.0.0.1:${upstream}`, ...llameroLimits })

/** The token of operators of the two servers that are compared in the group `observed`. */
export const adminToken = "a-token-for-the-benchmark"

/** The file with the log of the server on a port. */
export const logOf = (port: number): string => join(scratch, `${port}.log`)

/** Everything that can be seen of a request is seen, as an operator would set it. */
const observed = (upstream: number) => ({
  LLAMERO_DECISIONS: "1000",
  LLAMERO_LOG_LEVEL: "Info",
  LLAMERO_LOG_FORMAT: "json",
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${upstream}`,
  OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
  OTEL_TRACES_SAMPLER_ARG: "0.01",
})
const unobserved = { LLAMERO_DECISIONS: "0", LLAMERO_METRICS: "off" }

/** A llamero whose stdout goes to a file, with more settings. */
const watched = (name: string, settings: (upstream: number) => Readonly<Record<string, string>>): Target => ({
  name,
  only: "observed",
  command: (port, upstream) => ({
    ...llamero(port, { ...underLoad(upstream), LLAMERO_ADMIN_TOKEN: adminToken, ...settings(upstream) }),
    log: logOf(port),
  }),
  ready: "/readyz",
})

export const targets: ReadonlyArray<Target> = [
  {
    name: "llamero",
    command: (port, upstream) => llamero(port, underLoad(upstream)),
    ready: "/readyz",
  },
  {
    name: "before",
    command: (port, upstream) => llamero(port, underLoad(upstream), before),
    ready: "/readyz",
    missing: before === undefined ? "BENCH_BEFORE names no other checkout" : undefined,
  },
  { name: "node-http", command: (...ports) => node("proxies/http.ts", ports), ready: "/api/version" },
  { name: "undici", command: (...ports) => node("proxies/undici.ts", ports), ready: "/api/version" },
  installed("nginx", (file, port, upstream) => ({
    file,
    args: ["-e", "stderr", "-p", scratch, "-c", written(`nginx-${port}.conf`, nginxConf(port, upstream, scratch))],
  })),
  installed("haproxy", (file, port, upstream) => ({
    file,
    args: ["-q", "-db", "-f", written(`haproxy-${port}.cfg`, haproxyCfg(port, upstream))],
  })),
  { name: "direct", ready: "/api/version" },
  watched("observed", observed),
  watched("unobserved", () => unobserved),
  {
    name: "llamero-deno",
    runtime: "deno",
    command: (port, upstream) => llameroOnDeno(port, underLoad(upstream)),
    ready: "/readyz",
    missing: noDeno,
  },
  {
    name: "node-http-deno",
    runtime: "deno",
    command: (...ports) => ({ file: deno, args: ["run", "-A", local("proxies/http.ts"), ...ports.map(String)] }),
    ready: "/api/version",
    missing: noDeno,
  },
]

/** llamero and the proxy that a Node developer writes by hand, for loads that take long. */
export const forLongLoads = (all: ReadonlyArray<Target>): ReadonlyArray<Target> =>
  all.filter(({ name }) => ["llamero", "before", "node-http"].includes(name))

/** llamero as `npm start` starts it: its own defaults, without a backend. */
export const asShipped: Target = {
  name: "llamero",
  command: (port) => llamero(port, {}),
  ready: "/readyz",
}

export const asShippedOnDeno: Target = {
  name: "llamero-deno",
  command: (port) => llameroOnDeno(port, {}),
  ready: "/readyz",
}

const answersOk = (url: string) =>
  fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(1000) })
    .then(async (answer) => (await answer.arrayBuffer(), answer.status === 200), () => false)

/** Resolves when `path` answers 200. Rejects when the child ends before that, or takes too long. */
const untilReady = async (
  port: number,
  path: string,
  child: Child | undefined,
  within = READY_WITHIN_MS,
): Promise<void> => {
  const deadline = performance.now() + within
  while (!await answersOk(`http://127.0.0.1:${port}${path}`)) {
    const gone = child?.gone()
    if (gone !== undefined) throw new Error(gone)
    if (performance.now() > deadline) throw new Error(`${path} did not answer 200 within ${within / 1000} s`)
    await sleep(10)
  }
}

export const launch = async (target: Target, upstream: number, cores: string | undefined): Promise<Instance> => {
  const port = target.command ? await freePort() : upstream
  const began = performance.now()
  const child = target.command && start(target.command(port, upstream), cores)
  try {
    await untilReady(port, target.ready, child, target.readyWithinMs)
  } catch (error) {
    await child?.stop()
    throw error
  }
  return { target, port, upstream, child, readyMs: performance.now() - began }
}

/** Resolves with its port. Give the upstream a core of its own where there is one. */
export const startUpstream = async (cores: string | undefined): Promise<number> => {
  const port = await freePort()
  await untilReady(port, "/api/version", start(node("upstream.ts", [port]), cores))
  return port
}
