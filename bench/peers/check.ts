/**
 * What a peer does to the answers. A wrong answer may be faster than the right one, so a load is not measured on a peer
 * that answers it wrongly, and the table says so.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { Instance } from "../targets.ts"
import { asks, bodies } from "../wire.ts"
import { openaiBodies } from "./openai.ts"
import type { Api } from "./peers.ts"

/** One way to use a running peer. */
export interface Entry {
  readonly instance: Instance
  readonly api: Api
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export type Answers = "same bytes" | "same text"

export interface Checked {
  readonly json: Answers | Error
  readonly stream: Answers | Error
  /** Milliseconds to the first chunk of a stream with one chunk a second. */
  readonly firstChunkMs: number | Error
}

const CHECK_WITHIN_MS = 10_000
const SETTLES_WITHIN_MS = 60_000
const FIRST_CHUNK_WITHIN_MS = 5000

const served: Readonly<Record<Api, { readonly json: string; readonly stream: string }>> = {
  ollama: bodies,
  openai: openaiBodies,
}

interface Message {
  readonly content?: string | null
}

/** The text in the records of an answer. Records that are not JSON, such as `[DONE]`, have none. */
const textOf = (body: string): string =>
  body.split("\n").map((line) => {
    try {
      const record = JSON.parse(line.replace(/^data: /, ""))
      const { message, delta }: { message?: Message; delta?: Message } = record.choices?.[0] ?? record
      return (message ?? delta)?.content ?? ""
    } catch {
      return ""
    }
  }).join("")

/** A peer may get its answer from the other API of the upstream and translate it. */
const texts = (kind: "json" | "stream") => Object.values(served).map((answers) => textOf(answers[kind]))

export const judge = (api: Api, kind: "json" | "stream", status: number, got: string): Answers => {
  if (status === 200 && got === served[api][kind]) return "same bytes"
  if (status === 200 && texts(kind).includes(textOf(got))) return "same text"
  throw new Error(`answered ${status} with ${got.length} characters: ${got.slice(0, 200)}`)
}

const call = ({ headers, instance, path }: Entry, body: string, signal: AbortSignal) =>
  fetch(`http://127.0.0.1:${instance.port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...headers },
    body,
    signal,
  })

const answers = async (entry: Entry, kind: "json" | "stream"): Promise<Answers> => {
  const answer = await call(entry, asks[kind], AbortSignal.timeout(CHECK_WITHIN_MS))
  return judge(entry.api, kind, answer.status, await answer.text())
}

const firstChunk = async (entry: Entry): Promise<number> => {
  const began = performance.now()
  const leave = new AbortController()
  const timer = setTimeout(() => leave.abort(new Error("no byte of a slow stream: it buffers")), FIRST_CHUNK_WITHIN_MS)
  try {
    const answer = await call(entry, asks.drip, leave.signal)
    const { value } = await answer.body!.getReader().read()
    if (answer.status !== 200 || value === undefined) throw new Error(`answered ${answer.status}`)
    return performance.now() - began
  } finally {
    clearTimeout(timer)
    leave.abort()
  }
}

const attempt = async <A>(does: () => Promise<A>): Promise<A | Error> => {
  try {
    return await does()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Repeats a failed call, because a peer may listen before it knows its upstream. */
const patiently = async <A>(does: () => Promise<A>): Promise<A | Error> => {
  const giveUp = performance.now() + SETTLES_WITHIN_MS
  for (;;) {
    const result = await attempt(does)
    if (!(result instanceof Error) || performance.now() > giveUp) return result
    await sleep(500)
  }
}

/** Whether the peer answers as it did before. */
export const stillAnswers = async (entry: Entry): Promise<boolean> =>
  !(await attempt(() => answers(entry, "json")) instanceof Error)

export const check = async (entry: Entry): Promise<Checked> => {
  const json = await patiently(() => answers(entry, "json"))
  return {
    json,
    stream: await attempt(() => answers(entry, "stream")),
    firstChunkMs: await attempt(() => firstChunk(entry)),
  }
}
