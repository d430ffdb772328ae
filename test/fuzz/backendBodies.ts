/** What Ollama got is what the client sent, but for the values that the router may change. */
import { Result } from "effect"
import type { RoutedRequest, Span } from "../../src/services/RoutedRequest.ts"
import { decode } from "../../src/simulated/go/decode.ts"
import { form } from "../../src/simulated/go/form.ts"
import type { CallRecord } from "../../src/simulated/SimulatedFleet.ts"

const struct = { name: "Request", fields: { model: "string" } } as const
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

const header = ({ headers }: CallRecord, name: string): string | undefined => {
  const at = headers.findIndex((one, i) => i % 2 === 0 && one.toLowerCase() === name)
  return at < 0 ? undefined : headers[at + 1]
}

/** The id of the request that a call is made for. */
export const idOf = (call: CallRecord): string | undefined => header(call, "x-request-id")

/** The model that Ollama reads from a call; `undefined` where it refuses the body. */
export const modelOf = (call: CallRecord): string | undefined => {
  const { body = new Uint8Array(0), path } = call
  if (path.startsWith("/v1/audio")) {
    const read = form(body, header(call, "content-type") ?? "")
    return Result.isFailure(read) ? undefined : read.success.values.get("model") ?? ""
  }
  const read = decode(struct, utf8.decode(body))
  return Result.isFailure(read) ? undefined : (read.success["model"] ?? "") as string
}

/** Whether `got` is `text` with some of the values at `spans` replaced by `null`. */
const isSpliced = (got: string, text: string, spans: ReadonlyArray<Span>): boolean => {
  const [span, ...rest] = spans
  if (span === undefined) return got === text
  const value = text.slice(span.start, span.end)
  const before = text.slice(0, span.start)
  if (!got.startsWith(before)) return false
  const after = text.slice(span.end)
  const moved = rest.map(({ end, start }) => ({ start: start - span.end, end: end - span.end }))
  return [value, "null"].some((one) =>
    got.startsWith(one, before.length) && isSpliced(got.slice(before.length + one.length), after, moved)
  )
}

/**
 * Whether the router read these bytes. `/api/v1/generate` does not stream unless it is asked to, so the router adds
 * `stream` to the call for Ollama.
 */
export const isRead = ({ body, endpoint }: RoutedRequest, plain: Buffer): boolean => {
  if (plain.equals(body)) return true
  const [got, sent] = [latin1(body), latin1(plain)]
  const brace = sent.indexOf("{") + 1
  const added = [
    sent.slice(0, brace) + `"stream":false,` + sent.slice(brace),
    sent.replace(/"stream":(null)/, `"stream":false`),
  ]
  return endpoint.dialect === "generate-v1" && added.includes(got)
}

/** Whether a call has the bytes that the router read, or some of the values that it may take away are `null`. */
export const isPassedOn = (call: CallRecord, { body, envelope }: RoutedRequest): boolean => {
  const { keepAliveSpan, numCtxSpan, runnerOptions } = envelope
  const spans = [keepAliveSpan, numCtxSpan, ...runnerOptions].filter((span) => span !== undefined)
  return isSpliced(latin1(call.body ?? new Uint8Array(0)), latin1(body), spans.sort((a, b) => a.start - b.start))
}
