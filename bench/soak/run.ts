/**
 * The soak: the reference server and simulated Ollamas as processes, real sockets, one or two thousand requests a
 * second, and faults all the time. Ends with an account. The exit status is 1 if anything is wrong, and 2 if nothing is
 * wrong but the rate was not reached. `npm run soak -- --minutes 10 [--rate 500] [--backends 3]`
 */
import { createServer } from "node:net"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { rssMiB, start, stopAll } from "../processes.ts"
import { type Backend, backend, torment } from "./faults.ts"
import * as Load from "./load.ts"
import { account, type Sums } from "./account.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    rate: { type: "string", default: "500" },
    backends: { type: "string", default: "3" },
  },
})
const minutes = Number(values.minutes)
const rate = Number(values.rate)
const count = Number(values.backends)
if (!(minutes > 0) || !(rate > 0) || !(count >= 1)) throw new Error("--minutes, --rate and --backends must be above 0")

/** A port that was free a moment ago. A backend that was killed uses the same port again. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** Limits short enough to be reached within minutes. */
const settings = {
  LLAMERO_PARALLELISM: "8",
  LLAMERO_STREAMS_PER_BACKEND: "32",
  LLAMERO_FIRST_BYTE_TIMEOUT: "5s",
  LLAMERO_GAP_TIMEOUT: "3s",
  LLAMERO_ANSWER_TIMEOUT: "5s",
  LLAMERO_QUEUE_DEADLINE: "5s",
  LLAMERO_STALL_TIMEOUT: "3s",
  LLAMERO_HEARTBEAT: "1s",
  LLAMERO_BREAKER_OPEN: "1s",
  LLAMERO_BREAKER_OPEN_MAX: "4s",
  LLAMERO_HEALTH_INTERVAL: "1s",
  LLAMERO_HEALTH_TIMEOUT: "1s",
  LLAMERO_LOG_LEVEL: "None",
}

const metrics = async (url: string): Promise<Sums> => {
  const sums = new Map<string, number>()
  const text = await (await fetch(`${url}/metrics`)).text()
  for (const line of text.split("\n")) {
    const found = /^(llamero_\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (found === null) continue
    const [, name = "", labels = "", value] = found
    const result = /result="(\w+)"/.exec(labels)?.[1]
    const status = /status="(\w+)"/.exec(labels)?.[1]
    const outcome = /outcome="([\w-]+)"/.exec(labels)?.[1]
    const part = result !== undefined
      ? [`${name} ${result} ${status}`]
      : outcome !== undefined
      ? [`${name} ${outcome}`]
      : []
    for (const key of [name, ...part]) {
      sums.set(key, (sums.get(key) ?? 0) + Number(value))
    }
  }
  return (name) => sums.get(name) ?? 0
}

const held = [
  "llamero_active_requests",
  "llamero_leases",
  "llamero_streams",
  "llamero_queue_depth",
  "llamero_queue_bytes",
]

const main = async (): Promise<number> => {
  const backends: Array<Backend> = []
  for (let i = 0; i < count; i++) backends.push(await backend(i, await freePort()))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const router = start({
    file: process.execPath,
    args: ["src/command/serve/server.ts"],
    env: { ...settings, LLAMERO_PORT: String(port), LLAMERO_BACKENDS: backends.map(({ url }) => url).join() },
  }, undefined)
  for (let i = 0;; i++) {
    if (router.gone() !== undefined || i === 300) throw new Error(`the router ${router.gone() ?? "does not answer"}`)
    const ready = await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)
    if (ready) break
    await sleep(100)
  }

  const millis = minutes * 60_000
  const began = performance.now()
  const load = Load.start(url, rate, millis)
  let over = false
  const tormented = torment(backends, () => over || performance.now() - began > millis)
  const rss: Array<number> = []
  const sampling = (async () => {
    while (!over) {
      rss.push(rssMiB(router.pid) ?? 0)
      await sleep(1000)
    }
  })()
  const sendingMillis = sleep(millis)
  await sendingMillis
  over = true
  await load.ended
  const [done] = await Promise.all([tormented, sampling])

  // Everything that is still held must be released without help, soon.
  let sums = await metrics(url)
  for (let i = 0; i < 100 && held.some((name) => sums(name) !== 0); i++) {
    await sleep(200)
    sums = await metrics(url)
  }
  const asked = backends.map(({ counts }) => counts())
  const verdict = account({
    tally: load.tally,
    sums,
    backends: asked,
    rss,
    done,
    seconds: millis / 1000,
    rate,
    held,
    gone: router.gone(),
  })
  return { right: 0, wrong: 1, short: 2 }[verdict]
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error)
  return 1
})
await stopAll()
