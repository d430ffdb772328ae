/**
 * The helper process: answers lines of JSON on its standard input with lines on its standard output. See `../NvmlGpuProbe.ts` for why it exists.
 *
 * It is run by Node or Deno as it is, without Effect (half the start-up time, a third of the memory), blocks in the driver by design, and ends with its
 * input. Printing is its only way to speak, and an exception from the foreign function interface must become an answer: hence `process.stdout` and `catch`.
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

/** What fails as a whole ends this process: the next one starts clean, also with another version of the library. */
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

// A signal from the terminal goes to the whole group; the parent decides when this ends.
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
