/**
 * Rewrites values of a body by splicing: all bytes around a changed value stay as the client sent them.
 *
 * Parsing and writing the whole JSON again would lose number precision and key order, and cost time on every byte.
 *
 * @since 0.1.0
 */
import type { Changes, Endpoint, Envelope, Span } from "../services/RoutedRequest.ts"
import { optionsSpan } from "./envelope.ts"
import { concat, openBrace } from "./json.ts"

/**
 * A rewritten body, and its envelope with the new values and spans.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rewritten {
  readonly body: Uint8Array
  readonly envelope: Envelope
}

type Field = "modelSpan" | "streamSpan" | "numCtxSpan" | "keepAliveSpan"

interface Edit {
  /** The span of the envelope that the new value gets; `undefined` when the value is taken away. */
  readonly field: Field | undefined
  /** The bytes that are replaced; empty when a key is added. */
  readonly span: Span
  /** Text around the value, when its key is added with it. */
  readonly before: string
  readonly value: string
  readonly after: string
}

const encoder = new TextEncoder()

/** Adds a key and its value as the first member of the object whose brace is at `brace`. */
const added = (
  body: Uint8Array,
  brace: number,
  field: Edit["field"],
  before: string,
  value: string,
  close = "",
): Edit => {
  const next = body.subarray(brace + 1).find((byte) => byte > 0x20)
  return {
    field,
    span: { start: brace + 1, end: brace + 1 },
    before,
    value,
    after: next === 0x7d ? close : `${close},`,
  }
}

const replaced = (field: Edit["field"], span: Span, value: string): Edit => ({
  field,
  span,
  before: "",
  value,
  after: "",
})

const editsOf = (body: Uint8Array, envelope: Envelope, endpoint: Endpoint, changes: Changes): Array<Edit> => {
  const edits: Array<Edit> = []
  const top = body.indexOf(openBrace)
  const set = (field: Edit["field"], span: Span | undefined, key: string, value: string | null) => {
    if (span !== undefined) edits.push(replaced(field, span, value ?? "null"))
    else if (value !== null) edits.push(added(body, top, field, `"${key}":`, value))
  }
  if (changes.model !== undefined) {
    // A form has no quotes around the value.
    const value = endpoint.kind === "transcribe" ? changes.model : JSON.stringify(changes.model)
    set("modelSpan", envelope.modelSpan, "model", value)
  }
  if (changes.stream !== undefined) set("streamSpan", envelope.streamSpan, "stream", String(changes.stream))
  if (changes.keepAlive !== undefined) set("keepAliveSpan", envelope.keepAliveSpan, "keep_alive", changes.keepAlive)
  const numCtx = changes.numCtx
  if (numCtx === null || (numCtx !== undefined && envelope.numCtxSpan !== undefined)) {
    set("numCtxSpan", envelope.numCtxSpan, "", numCtx === null ? null : String(numCtx))
  } else if (numCtx !== undefined) {
    const options = optionsSpan(body, endpoint)
    const value = String(numCtx)
    if (options === undefined) edits.push(added(body, top, "numCtxSpan", `"options":{"num_ctx":`, value, "}"))
    else if (body[options.start] === openBrace) {
      edits.push(added(body, options.start, "numCtxSpan", `"num_ctx":`, value))
    } else edits.push({ field: "numCtxSpan", span: options, before: `{"num_ctx":`, value, after: "}" })
  }
  if (changes.runnerOptions === null) {
    for (const option of envelope.runnerOptions) edits.push(replaced(undefined, option, "null"))
  }
  return edits.sort((a, b) => a.span.start - b.span.start)
}

/**
 * Applies changes. The body is copied once; when nothing changes the same body is returned.
 *
 * @category rewriting
 * @since 0.1.0
 */
export const rewrite = (body: Uint8Array, envelope: Envelope, endpoint: Endpoint, changes: Changes): Rewritten => {
  const edits = editsOf(body, envelope, endpoint, changes)
  if (edits.length === 0) return { body, envelope }
  const parts: Array<Uint8Array> = []
  const spans: Partial<Record<Field, Span | undefined>> = {}
  /** Where an offset of the old body is in the new one. */
  const moved = (at: number) => {
    let by = 0
    for (const edit of edits) {
      if (edit.span.end <= at) {
        by += encoder.encode(edit.before + edit.value + edit.after).length - (edit.span.end - edit.span.start)
      }
    }
    return at + by
  }
  for (const field of ["modelSpan", "streamSpan", "numCtxSpan", "keepAliveSpan"] as const) {
    const span = envelope[field]
    if (span !== undefined) spans[field] = { start: moved(span.start), end: moved(span.end) }
  }
  const runnerOptions = changes.runnerOptions === null ? [] : envelope.runnerOptions.map(({ end, name, start }) => ({
    name,
    start: moved(start),
    end: moved(end),
  }))
  let from = 0
  let length = 0
  const push = (part: Uint8Array) => {
    parts.push(part)
    length += part.length
  }
  for (const edit of edits) {
    push(body.subarray(from, edit.span.start))
    push(encoder.encode(edit.before))
    const start = length
    push(encoder.encode(edit.value))
    if (edit.field !== undefined) spans[edit.field] = { start, end: length }
    push(encoder.encode(edit.after))
    from = edit.span.end
  }
  push(body.subarray(from))
  return { body: concat(parts), envelope: { ...changed(envelope, spans, changes), runnerOptions } }
}

const changed = (
  envelope: Envelope,
  spans: Partial<Record<Field, Span | undefined>>,
  changes: Changes,
): Envelope => ({
  ...envelope,
  ...spans,
  model: changes.model ?? envelope.model,
  stream: changes.stream ?? envelope.stream,
  keepAlive: changes.keepAlive === undefined ? envelope.keepAlive : changes.keepAlive ?? undefined,
  numCtx: changes.numCtx === undefined ? envelope.numCtx : changes.numCtx ?? undefined,
})
