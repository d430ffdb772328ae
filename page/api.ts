/** The admin API as the page calls it. The token goes into a header only: never into a URL, and no other tab has it. */
import { type Change, changed, type State } from "./state.ts"
import { type Message, parser } from "./sse.ts"

const tokenName = "llamero.token"

/** The token of this tab; empty where nobody has signed in. */
export const token = {
  read: (): string => sessionStorage.getItem(tokenName) ?? "",
  write: (value: string): void => sessionStorage.setItem(tokenName, value),
  forget: (): void => sessionStorage.removeItem(tokenName),
}

/** The router has answered with an error. `status` is 0 where it has not answered. */
export class CallError extends Error {
  readonly status: number
  /** Seconds after which to try again, where the router says so. */
  readonly retryAfter: number | undefined
  constructor(status: number, message: string, retryAfter?: number) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The words of an error's body, in the shapes of Ollama and OpenAI. */
const wordsOf = (text: string, status: number): string => {
  try {
    const { error } = JSON.parse(text)
    if (typeof error === "string") return error
    if (typeof error?.message === "string") return error.message
  } catch { /* It is no JSON. */ }
  return text.trim() === "" ? `the router answered ${status}` : text.slice(0, 300)
}

const send = async (path: string, init: RequestInit): Promise<Response> => {
  let response: Response
  try {
    response = await fetch(path, { cache: "no-store", ...init })
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error
    throw new CallError(0, "the router cannot be reached")
  }
  if (response.ok) return response
  const { headers, status } = response
  const after = headers.has("retry-after") ? Number(headers.get("retry-after")) : undefined
  throw new CallError(status, wordsOf(await response.text(), status), Number.isFinite(after) ? after : undefined)
}

const bearer = (): Record<string, string> => ({ authorization: `Bearer ${token.read()}` })

/** Calls the admin API, and gives its JSON. */
export const call = async <A>(method: "GET" | "POST", path: string, body?: unknown): Promise<A> => {
  const headers = { ...bearer(), ...(body === undefined ? {} : { "content-type": "application/json" }) }
  const response = await send(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  return await response.json() as A
}

/** Sends a chat, and gives the text as it comes. `key` is an API key, where the router asks for one. */
export const chat = async (
  body: unknown,
  key: string,
  signal: AbortSignal,
  onRecord: (record: Record<string, unknown>) => void,
): Promise<{ readonly id: string }> => {
  const headers = { "content-type": "application/json", ...(key === "" ? {} : { authorization: `Bearer ${key}` }) }
  const response = await send("/api/chat", { method: "POST", headers, body: JSON.stringify(body), signal })
  let rest = ""
  await read(response, () => {}, (text) => {
    const rows = (rest + text).split("\n")
    rest = rows.pop() ?? ""
    for (const row of rows) if (row.trim() !== "") onRecord(JSON.parse(row))
  })
  return { id: response.headers.get("x-request-id") ?? "" }
}

const read = async (response: Response, onBytes: () => void, onText: (text: string) => void): Promise<void> => {
  const reader = response.body!.getReader()
  const decoder = new TextDecoder()
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    onBytes()
    onText(decoder.decode(part.value, { stream: true }))
  }
}

export type Link = "connecting" | "live" | "lost"

export interface Follower {
  readonly onLink: (link: Link) => void
  /** `start`: when the message came, by `performance.now()`. */
  readonly onState: (state: State, start: number) => void
  /** The token is not taken any more. */
  readonly onRefused: (message: string) => void
}

/** The router sends something at least every 15 seconds. */
const silenceMax = 40_000
/** Times between two tries, in milliseconds. */
const retries = [500, 1000, 2000, 4000]

/** Follows the state until `stop` is called. Connects again whenever the stream ends. */
export const follow = ({ onLink, onRefused, onState }: Follower): { readonly stop: () => void } => {
  const stopped = new AbortController()
  let state: State | undefined
  const take = ({ data, event }: Message): void => {
    const start = performance.now()
    if (event === "snapshot") state = JSON.parse(data) as State
    else if (event === "change" && state !== undefined) state = changed(state, JSON.parse(data) as Change)
    else return
    onState(state, start)
  }
  const once = async (onAnswer: () => void): Promise<void> => {
    const silent = new AbortController()
    let timer = setTimeout(() => silent.abort(), silenceMax)
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(() => silent.abort(), silenceMax)
    }
    try {
      const signal = AbortSignal.any([stopped.signal, silent.signal])
      const response = await send("/admin/events", { headers: bearer(), signal })
      onAnswer()
      const messages = parser()
      await read(response, heard, (text) => messages(text).forEach(take))
    } finally {
      clearTimeout(timer)
    }
  }
  const run = async (): Promise<void> => {
    let tries = 0
    while (!stopped.signal.aborted) {
      onLink(tries === 0 ? "connecting" : "lost")
      try {
        await once(() => {
          tries = 0
          onLink("live")
        })
      } catch (error) {
        if (stopped.signal.aborted) return
        if (error instanceof CallError && error.status === 401) return onRefused(error.message)
      }
      if (stopped.signal.aborted) return
      onLink("lost")
      await new Promise((done) => setTimeout(done, retries[Math.min(tries, retries.length - 1)]))
      tries++
    }
  }
  void run()
  return { stop: () => stopped.abort() }
}
