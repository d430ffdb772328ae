/**
 * One question to one server, over the transport that the router uses, within a time limit.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { type ByteSink, type Transport, TransportError, type Upstream } from "../../../services/Transport.ts"
import { DecodingSink } from "../../../wire/contentDecoding.ts"
import * as Json from "../../../wire/json.ts"
import type { Answer, WhyNoAnswer } from "../observations.ts"

/** An answer of HTTP. */
export interface Got {
  readonly status: number
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly text: string
}

/** Bytes. The state of a large fleet has a few MiB. */
const answerMax = 32 * 1024 * 1024

/** Takes a whole answer. */
class Whole implements ByteSink {
  upstream: Upstream | undefined
  private status = 0
  private headers: ReadonlyArray<string> = []
  private readonly parts: Array<Uint8Array> = []
  private bytes = 0
  private readonly done: (got: Got) => void
  private readonly failed: (error: TransportError) => void

  constructor(done: (got: Got) => void, failed: (error: TransportError) => void) {
    this.done = done
    this.failed = failed
  }

  open(upstream: Upstream): void {
    this.upstream = upstream
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.status = status
    this.headers = rawHeaders
  }

  data(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes <= answerMax) return void this.parts.push(chunk)
    this.upstream?.abort()
    this.failed(new TransportError({ reason: "Protocol", backend: "", description: "the answer does not end" }))
  }

  end(): void {
    this.done({ status: this.status, headers: this.headers, text: Json.textOf(this.parts) })
  }

  fail(error: TransportError): void {
    this.failed(error)
  }
}

/** The answer to a `GET`. */
export const get = (
  transport: Transport["Service"],
  backend: Backend,
  path: string,
  headers: ReadonlyArray<string> = ["accept", "application/json"],
): Effect.Effect<Got, TransportError> =>
  Effect.callback((resume) => {
    const sink = new Whole((got) => resume(Effect.succeed(got)), (error) => resume(Effect.fail(error)))
    transport.send(
      backend,
      { method: "GET", path, headers, body: undefined },
      new DecodingSink(backend.id, sink),
    )
    return Effect.sync(() => sink.upstream?.abort())
  })

const whyOf = ({ description, reason }: TransportError): WhyNoAnswer => {
  if (/ENOTFOUND|EAI_AGAIN|getaddrinfo|dns error/i.test(description)) return "name"
  if (/certificate|altname|\bCERT_/i.test(description)) return "certificate"
  if (reason === "ConnectTimeout") return "timeout"
  if (reason === "Protocol" || /wrong version number|packet length too long/i.test(description)) return "protocol"
  return reason === "Refused" && !/EHOST|ENETUNREACH|unreachable/i.test(description) ? "refused" : "broken"
}

/**
 * How far a clock is ahead. `Date` has whole seconds: its time is anywhere in that second, and the answer was made
 * anywhere between question and answer. So it is 0 where both can be equal.
 */
const skewOf = (date: string | undefined, asked: number, answered: number): number | undefined => {
  const from = Date.parse(date ?? "")
  if (Number.isNaN(from)) return undefined
  if (from > answered) return from - answered
  return from + 1000 < asked ? from + 1000 - asked : 0
}

const header = (headers: ReadonlyArray<string>, name: string): string | undefined => {
  for (let at = 0; at + 1 < headers.length; at += 2) if (headers[at]!.toLowerCase() === name) return headers[at + 1]
  return undefined
}

/** What a server answers, or why it does not; never fails. `text` has the whole body. */
export const ask = Effect.fnUntraced(function* (
  transport: Transport["Service"],
  backend: Backend,
  path: string,
  limit: Duration.Duration,
): Effect.fn.Return<{ readonly answer: Answer; readonly text: string }> {
  const clock = yield* Clock.Clock
  const asked = clock.currentTimeMillisUnsafe()
  const none = (why: WhyNoAnswer, description: string) => ({
    answer: { _tag: "NoAnswer", why, description } as const,
    text: "",
  })
  return yield* get(transport, backend, path).pipe(
    Effect.map(({ headers, status, text }) => {
      const answered = clock.currentTimeMillisUnsafe()
      const skewMillis = skewOf(header(headers, "date"), asked, answered)
      const start = text.slice(0, 200)
      return { answer: { _tag: "Answered", status, millis: answered - asked, text: start, skewMillis } as const, text }
    }),
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () => Effect.succeed(none("timeout", `no answer within ${Duration.format(limit)}`)),
    }),
    Effect.catch((error) => Effect.succeed(none(whyOf(error), error.description))),
  )
})
