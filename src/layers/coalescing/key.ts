/**
 * Decides which requests are identical: a hash over the parts of a request that matter.
 *
 * @since 0.1.0
 */
import { hash } from "node:crypto"
import { header, type RoutedRequest, type Span } from "../../services/RoutedRequest.ts"
import { closeBrace, openBrace, quote, readString, skipSpace, stringEnd } from "../../wire/json.ts"
import { streams } from "../../wire/request.ts"
import { type Field, fieldsOf, itemsOf } from "../../wire/jsonParts.ts"

/** Longer bodies are not coalesced: hashing them costs more than it saves. */
const bodyMax = 1024 * 1024

/** Headers by which a proxy in front of a backend may decide: an answer for one client may be forbidden for another. */
const credentials = ["authorization", "cookie", "x-api-key", "api-key"]

/**
 * A request that may be shared.
 *
 * @internal
 */
export interface Identity {
  /** Identical requests have the same key. */
  readonly key: string
  /**
   * For an embedding call with one text: the spans of the input and of the text, and a group. Calls of the same group
   * may travel in one batch.
   */
  readonly single: { readonly input: Span; readonly text: Span; readonly group: string } | undefined
}

/** Whether the byte belongs to a number, `true`, `false` or `null`. */
const isScalar = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a)

const encoder = new TextEncoder()

/** Builds the canonical text of a request and hashes it. */
class Canonical {
  private readonly from: Uint8Array
  private readonly out: Uint8Array
  private length: number

  /** Starts with `prefix`. The rest is never longer than `from`, from which it is copied. */
  constructor(prefix: string, from: Uint8Array) {
    this.from = from
    this.out = room(from.length + 3 * prefix.length)
    this.length = encoder.encodeInto(prefix, this.out).written
  }

  digest(): string {
    return hash("sha256", this.out.subarray(0, this.length), "base64")
  }

  /**
   * Copies the span without white space. Space between two scalars stays, because an invalid body must not become a
   * valid one.
   */
  value({ end, start }: Span): void {
    const { from } = this
    if (from[start] === quote) return this.copy(start, end)
    let run = start
    for (let at = start; at < end;) {
      const byte = from[at]!
      if (byte === quote) {
        at = Math.max(at + 1, stringEnd(from, at + 1))
        continue
      }
      const next = byte > 0x20 ? at : skipSpace(from, at)
      if (next > at) {
        this.copy(run, at)
        if (isScalar(from[at - 1]!) && isScalar(from[next]!)) this.out[this.length++] = 0x20
        run = next
      }
      at = Math.max(next, at + 1)
    }
    this.copy(run, end)
  }

  /**
   * Writes the fields sorted by key. Keys that Ollama may take for the same one keep their order, because the last one
   * counts. Inner objects keep their order: Ollama generates the properties of a JSON schema in the order in which they
   * are given.
   */
  object(fields: ReadonlyArray<Field>, takes: (field: Field, name: string) => boolean): void {
    const named = fields.map((field) => ({ field, name: this.name(field) }))
    named.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
    this.out[this.length++] = openBrace
    for (const { field, name } of named) {
      if (!takes(field, name)) continue
      this.value(field.key)
      this.value(field)
    }
    this.out[this.length++] = closeBrace
  }

  /** Folds case at least as far as Go does. */
  private name({ key }: Field): string {
    return (readString(this.from, key.start, key.end) ?? "").toUpperCase().toLowerCase()
  }

  private copy(start: number, end: number): void {
    const { from, out } = this
    if (end - start > short) {
      out.set(from.subarray(start, end), this.length)
      this.length += end - start
    } else for (let at = start; at < end; at++) out[this.length++] = from[at]!
  }
}

/** Up to this many bytes, copying one by one is faster than making a view of them. */
const short = 48

/**
 * Used for every request, since its content is not needed after the digest. Allocating it each time would cost more in
 * garbage collection than the hashing.
 */
const kept = new Uint8Array(64 * 1024)
const room = (bytes: number): Uint8Array => bytes <= kept.length ? kept : new Uint8Array(bytes)

/** The only text of an embedding call: `"x"` or `["x"]`. */
const single = (body: Uint8Array, input: Span): Span | undefined => {
  if (body[input.start] === quote) return input.end - input.start > 2 ? input : undefined
  const items = itemsOf(body, input.start)
  const text = items?.length === 1 ? items[0] : undefined
  return text !== undefined && body[text.start] === quote && text.end - text.start > 2 ? text : undefined
}

const batchable = ["/api/embed", "/v1/embeddings"]

/**
 * The identity of a request, or `undefined` where its body is too long or cannot be read.
 *
 * **Details**
 *
 * Two requests are identical when they have the same tenant, credentials, path, stream flag and body. White space, the
 * order of top-level keys and the order of options do not matter. `"stream"` may be given or left to its default.
 * `keep_alive` matters: it changes what the call does.
 *
 * @internal
 */
export const identify = (request: RoutedRequest): Identity | undefined => {
  const { body, endpoint, envelope, headers, tenant } = request
  if (body.length > bodyMax) return undefined
  const fields = fieldsOf(body, skipSpace(body, 0))
  if (fields === undefined) return undefined
  const parts = [tenant, endpoint.path, streams(request), ...credentials.map((name) => header(headers, name) ?? null)]
  const canonical = new Canonical(JSON.stringify(parts), body)
  let input: Span | undefined
  canonical.object(fields, (field, name) => {
    if (field.start === envelope.streamSpan?.start) return false
    if (name === "input") {
      input = field
      return false
    }
    const options = name === "options" ? fieldsOf(body, field.start) : undefined
    if (options === undefined) return true
    canonical.value(field.key)
    canonical.object(options, () => true)
    return false
  })
  const rest = canonical.digest()
  if (input === undefined) return { key: rest, single: undefined }
  const asked = new Canonical(rest, body)
  asked.value(input)
  const text = batchable.includes(endpoint.path) ? single(body, input) : undefined
  return { key: asked.digest(), single: text === undefined ? undefined : { input, text, group: rest } }
}
