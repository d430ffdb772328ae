/**
 * Bytes of heap that a request allocates, counted in a process of its own, in code that V8 does not optimize. So the
 * counts are the same in every run. In optimized code, a request allocates about half of them (`bench/README.md`).
 *
 * A limit is what was counted with Node 24.21, and a margin. For the router alone it is less than one object of 200
 * bytes; with sockets it is 2 %. A stream is not counted with sockets: how many of its chunks come together depends on
 * what else the machine does.
 * Whoever makes a request cheaper lowers it. `npm run bench:allocations` shows who allocates.
 */
import { assert, describe, it } from "@effect/vitest"
import process from "node:process"
import { heapBytes, inProcess, overSocket, unoptimized } from "../bench/allocations/counts.ts"
import { loads } from "../bench/allocations/load.ts"
import { llamero, type Measured, routerAlone, start, startUpstream } from "../bench/allocations/measured.ts"

const limits = {
  router: { json: 18_220, stream: 28_200 },
  server: { json: 44_700 },
}

const [json] = loads
const why = process.versions["deno"] !== undefined
  ? "Deno does not take the flags of V8 that the counts need from a parent process"
  : Number(process.versions.node.split(".")[0]) !== 24
  ? `the limits are for Node 24, and this is ${process.version}`
  : undefined
if (why !== undefined) console.log(`allocations: skipped: ${why}`)

const isWithin = (bytes: number, limit: number) => {
  console.log(`allocated a request: ${bytes} bytes, limit ${limit}`)
  assert.isAtMost(bytes, limit)
  // A limit that is far too high would hide what is added later.
  assert.isAtLeast(bytes, limit * 0.9, "lower the limit")
}

const using = async (opened: Promise<Measured>, use: (measured: Measured) => Promise<void>) => {
  const measured = await opened
  try {
    await use(measured)
  } finally {
    await measured.stop()
  }
}

describe.skipIf(why !== undefined)("bytes allocated a request", () => {
  const byRouter = () =>
    using(start(routerAlone, unoptimized), async (router) => {
      isWithin(await heapBytes(router, inProcess(router, "json")), limits.router.json)
      isWithin(await heapBytes(router, inProcess(router, "stream")), limits.router.stream)
    })
  it("by the router alone", byRouter, 240_000)

  const byServer = () =>
    using(startUpstream(), (upstream) =>
      using(start(llamero, unoptimized, upstream.port), async (server) => {
        isWithin(await heapBytes(server, overSocket(server, json!)), limits.server.json)
      }))
  it("by the reference server", byServer, 240_000)
})
