/**
 * One simulated Ollama in a process of its own, with random faults. `node bench/soak/backend.ts PORT COUNTS SEED`.
 * `COUNTS` is a file with the number of its requests and answers; it survives a kill.
 */
import { Effect } from "effect"
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs"
import process from "node:process"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { models } from "./calls.ts"

const { Fault } = SimulatedFleet
const [port = "0", file = "", seed = "1"] = process.argv.slice(2)

let state = Number(seed)
const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647
const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!

const faults = [
  Fault.reset(),
  Fault.reset(2),
  Fault.truncate(2),
  Fault.internal,
  Fault.busy,
  Fault.busy,
  Fault.tooMany,
  Fault.garbage,
  Fault.slow(200),
  Fault.stall(1),
]

/** Counts before each answer, so that a kill loses nothing. */
const counting = (server: SimulatedFleet.SimulatedServer): void => {
  const counts = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { asked: 0, answered: 0 }
  // The file is never truncated: a kill between that and the first write would lose the counts.
  const at = openSync(file, existsSync(file) ? "r+" : "w")
  const write = () => void writeSync(at, JSON.stringify(counts).padEnd(60), 0)
  write()
  const { handle } = server
  server.handle = (request, exchange) => {
    // Loads and the router's own calls are not requests of clients.
    const counted = request.method === "POST" && request.headers.some((name) => name.toLowerCase() === "x-request-id")
    if (!counted) return handle.call(server, request, exchange)
    counts.asked++
    write()
    handle.call(server, request, {
      open: (upstream) => exchange.open(upstream),
      head: (status, headers) => exchange.head(status, headers),
      data: (chunk) => exchange.data(chunk),
      end: () => {
        counts.answered++
        write()
        exchange.end()
      },
      fail: (reason, description) => exchange.fail(reason, description),
    })
  }
  process.on("exit", () => closeSync(at))
}

const main = Effect.gen(function* () {
  const { server, url } = yield* SimulatedOllamaServer.make({
    port: Number(port),
    models,
    parallelism: 16,
    decodeRate: 2000,
    overhead: "1 millis",
    callsMax: 0,
  })
  counting(server)
  console.log(`listening on ${url}`)
  for (;;) {
    yield* Effect.sleep(500 + Math.floor(random() * 3000))
    const path = pick(["/api/chat", "/api/generate", "/api/embed", "/v1/chat/completions", "/v1/messages"])
    server.script(pick(faults), { path, times: pick([1, 1, 3, 10]) })
    // At most one fault is set at a time.
    yield* Effect.sleep(1000)
    server.faults.clear()
  }
})

process.on("SIGTERM", () => process.exit(0))
Effect.runFork(Effect.scoped(main))
