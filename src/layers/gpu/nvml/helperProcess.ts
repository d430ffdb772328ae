/**
 * The helper process: answers lines of JSON on its standard input with lines on its standard output.
 * `../NvmlGpuProbe.ts` says why it exists.
 *
 * Node or Deno runs it as it is. It does not use Effect, which would double its start-up time and triple its memory. It
 * blocks in the driver by design, and ends when its input ends. It can only print, and an exception from the foreign
 * function interface must become an answer, so it uses `process.stdout` and `catch`.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import process from "node:process"
import { createInterface } from "node:readline"
import * as Library from "./library.ts"
import type { Ask, Failure, Line } from "./protocol.ts"
import * as Session from "./session.ts"

let session: Session.Session | undefined

const say = (line: Line): Promise<void> =>
  new Promise((done) => {
    process.stdout.write(Buffer.from(JSON.stringify(line) + "\n"), () => done())
  })

const open = async (ask: Ask): Promise<Session.Session | Failure> => {
  const library = await Library.open(ask.libraries)
  return Library.isFailure(library) ? library : Session.open(library)
}

/**
 * A failure of a whole read ends this process: the next helper starts fresh, also with another version of the library.
 */
const answer = async (ask: Ask): Promise<void> => {
  if (session === undefined) {
    const opened = await open(ask)
    if (Library.isFailure(opened)) return refuse(ask, opened)
    session = opened
    await say({ opened: true })
  }
  const found = session.read(ask)
  if (Library.isFailure(found)) return refuse(ask, found)
  await say({ id: ask.id, ...found })
}

const refuse = async ({ id }: Ask, failure: Failure): Promise<void> => {
  await say({ id, failure })
  process.exit(0)
}

// A signal from the terminal goes to the whole process group. The parent decides when this process ends.
process.on("SIGINT", () => {})
process.on("SIGTERM", () => {})
process.stdout.on("error", () => process.exit(0))

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line) as Ask
  try {
    await answer(ask)
  } catch (error) {
    await refuse(ask, { _tag: "Failed", code: null, description: String(error) })
  }
}
process.exit(0)
