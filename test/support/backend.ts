/**
 * A simulated Ollama as a process of its own, so that it can be killed: `node test/support/backend.ts PORT
 * OPTIONS-AS-JSON`.
 */
import { Effect } from "effect"
import process from "node:process"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"

const [port, options] = process.argv.slice(2)

Effect.runFork(Effect.scoped(Effect.gen(function* () {
  const { url } = yield* SimulatedOllamaServer.make({ ...JSON.parse(options ?? "{}"), port: Number(port ?? 0) })
  console.log(`listening on ${url}`)
  yield* Effect.never
})))
