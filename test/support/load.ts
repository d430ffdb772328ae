/** Clients in a loop, over real sockets. Each answer is judged. */

/** How one request ended for its client. */
export interface Ended {
  readonly status: number
  readonly bytes: number
  /** Whether the stream had its last record, or the request was refused with a status. */
  readonly whole: boolean
  /** Whether the stream ended in an error record. */
  readonly errorRecord: boolean
  /** The error that the client library threw. */
  readonly thrown: string | undefined
  readonly retryAfter: string | null
  readonly text: string
}

export const post = async (url: string, body: object, signal?: AbortSignal): Promise<Ended> => {
  let bytes = 0
  let text = ""
  let status = 0
  let retryAfter: string | null = null
  try {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body), signal: signal ?? null })
    status = response.status
    retryAfter = response.headers.get("retry-after")
    const decoder = new TextDecoder()
    for await (const chunk of response.body!) {
      bytes += chunk.length
      text += decoder.decode(chunk, { stream: true })
    }
    const errorRecord = text.trimEnd().split("\n").at(-1)!.startsWith(`{"error"`)
    const whole = status !== 200 || text.includes(`"done":true`)
    return { status, bytes, whole, errorRecord, thrown: undefined, retryAfter, text }
  } catch (error) {
    return { status, bytes, whole: false, errorRecord: false, thrown: String(error), retryAfter, text }
  }
}

/** Runs `clients` loops until `stop` says so, with at most `max` requests in all. */
export const loops = async (
  clients: number,
  max: number,
  stop: () => boolean,
  one: () => Promise<Ended>,
): Promise<ReadonlyArray<Ended>> => {
  const ended: Array<Ended> = []
  let started = 0
  await Promise.all(Array.from({ length: clients }, async () => {
    while (!stop() && started < max) {
      started++
      ended.push(await one())
    }
  }))
  return ended
}
