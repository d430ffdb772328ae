/**
 * Cold start and size, for serverless hosts: `npm run bench:cold`. Measures the time from the start of a process to the
 * first byte of an answer routed to an Ollama (a simulated one, in this process). It runs once from the sources and
 * once from one bundled file, and reports the size of that file.
 */
import { Effect } from "effect"
import { rolldown } from "rolldown"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { gzipSync } from "node:zlib"
import * as SimulatedOllamaServer from "../src/simulated/SimulatedOllamaServer.ts"

const root = join(import.meta.dirname, "..")
const entry = join(root, "bench/cold/fetch.ts")
const deno = join(root, "node_modules/.bin/deno")
const port = 18_436
const rounds = 7
/** Largest allowed size of the bundle, in KiB after gzip. */
export const budgetKiB = 200

/** Makes the file that a serverless host would get: minified, with all dependencies. */
export const bundle = async (folder: string) => {
  const built = await rolldown({
    input: entry,
    platform: "neutral",
    external: /^node:/,
    resolve: { mainFields: ["module", "main"] },
  })
  const file = join(folder, "router.js")
  const { output: [chunk] } = await built.write({ file, format: "esm", minify: true })
  await built.close()
  return { file, imports: chunk.imports }
}

export const sizes = (file: string) => ({
  kib: statSync(file).size / 1024,
  gzippedKib: gzipSync(readFileSync(file)).length / 1024,
})

const chat = JSON.stringify({ model: "tiny-eos", stream: false, messages: [{ role: "user", content: "hi" }] })

/** Milliseconds until the first byte. The request is repeated from the start of the process until it is answered. */
const firstByte = async (file: string, backend: string): Promise<number> => {
  const began = performance.now()
  const child = spawn(deno, ["serve", "-A", "--host", "127.0.0.1", "--port", `${port}`, file], {
    cwd: root,
    env: { ...process.env, LLAMERO_BACKENDS: backend },
    stdio: "ignore",
  })
  const gone = once(child, "exit")
  try {
    while (child.exitCode === null && performance.now() - began < 30_000) {
      const reply = await fetch(`http://127.0.0.1:${port}/api/chat`, { method: "POST", body: chat }).catch(() =>
        undefined
      )
      if (reply === undefined) {
        await new Promise((done) => setTimeout(done, 3))
        continue
      }
      if (reply.status !== 200) throw new Error(`answered ${reply.status}: ${await reply.text()}`)
      await reply.body?.getReader().read()
      return performance.now() - began
    }
    throw new Error("no answer in 30 s")
  } finally {
    child.kill("SIGKILL")
    await gone
  }
}

const measure = async (name: string, file: string, backend: string): Promise<void> => {
  await firstByte(file, backend)
  const times: Array<number> = []
  for (let round = 0; round < rounds; round++) times.push(await firstByte(file, backend))
  times.sort((a, b) => a - b)
  const [least, middle, most] = [times[0]!, times[rounds >> 1]!, times[rounds - 1]!].map((ms) => ms.toFixed(0))
  console.log(`${name}: ${middle} ms to the first routed byte (${least}..${most}, ${rounds} starts of deno serve)`)
}

const main = async (backend: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "llamero-cold-"))
  try {
    const { file } = await bundle(folder)
    const { gzippedKib, kib } = sizes(file)
    console.log(`bundle: ${kib.toFixed(0)} KiB, ${gzippedKib.toFixed(0)} KiB gzipped (budget ${budgetKiB} KiB)`)
    await measure("sources", entry, backend)
    await measure("bundle", file, backend)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  await Effect.runPromise(
    Effect.scoped(Effect.flatMap(SimulatedOllamaServer.make(), ({ url }) => Effect.promise(() => main(url)))),
  )
  process.exit(0)
}
