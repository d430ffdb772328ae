/**
 * Combines embedding calls and splits their answer, without changing a digit of a vector.
 *
 * @since 0.1.0
 */
import type { RoutedRequest, Span } from "../../services/RoutedRequest.ts"
import { scan } from "../../wire/envelope.ts"
import { concat, text } from "../../wire/json.ts"
import { type Field, fieldsOf, itemsOf } from "../../wire/jsonParts.ts"

const encoder = new TextEncoder()
const bytes = (of: string): Uint8Array => encoder.encode(of)

/** The request of a call, and the span of its only text. @internal */
export interface SingleCall {
  readonly request: RoutedRequest
  readonly input: Span
  readonly text: Span
}

/** The first call's request, with the texts of all calls. @internal */
export const combine = (all: readonly [SingleCall, ...ReadonlyArray<SingleCall>]): RoutedRequest => {
  const [{ input, request }] = all
  const texts = all.flatMap((one, i) => [
    bytes(i === 0 ? "[" : ","),
    one.request.body.subarray(one.text.start, one.text.end),
  ])
  const body = concat([request.body.subarray(0, input.start), ...texts, bytes("]"), request.body.subarray(input.end)])
  const envelope = scan(body, request.endpoint)
  if ("_tag" in envelope) throw new Error(`the combined body of a batch is not valid: ${envelope.message}`)
  return { ...request, body, envelope }
}

/** A part of an answer, and the bytes to put in its place. */
interface Edit extends Span {
  readonly value: Uint8Array
}

const edited = (body: Uint8Array, edits: ReadonlyArray<Edit>): Uint8Array => {
  const parts: Array<Uint8Array> = []
  let from = 0
  for (const { end, start, value } of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(body.subarray(from, start), value)
    from = end
  }
  return concat([...parts, body.subarray(from)])
}

const fields = (body: Uint8Array, at: number): ReadonlyMap<string, Field> => {
  const found = fieldsOf(body, at) ?? []
  return new Map(found.map((field) => [text(body, field.key.start + 1, field.key.end - 1), field]))
}

/** Divides a whole number in proportion to `weights`. The shares add up to the number. @internal */
export const shares = (total: number, weights: ReadonlyArray<number>): ReadonlyArray<number> => {
  const sum = weights.reduce((a, b) => a + b, 0)
  let before = 0
  let given = 0
  return weights.map((weight) => {
    before += weight
    const share = Math.round(total * before / sum) - given
    given += share
    return share
  })
}

/**
 * The answer of each call, or `undefined` where the body is not an answer for `weights.length` texts. Ollama counts the
 * tokens of a batch in one number; each answer gets a share of it by the length of its text.
 *
 * @internal
 */
export const splitAnswer = (
  body: Uint8Array,
  weights: ReadonlyArray<number>,
): ReadonlyArray<Uint8Array> | undefined => {
  const top = fields(body, 0)
  const list = top.get("embeddings") ?? top.get("data")
  const items = list === undefined ? undefined : itemsOf(body, list.start)
  if (list === undefined || items?.length !== weights.length) return undefined
  const usage = top.get("usage")
  const counters = usage === undefined ? [top.get("prompt_eval_count")] : [...fields(body, usage.start).values()]
  const counts = counters.filter((counter) => counter !== undefined).map(({ end, start }) => ({
    start,
    end,
    each: shares(Number(text(body, start, end)), weights),
  }))
  return items.map((item, i) => {
    const index = fields(body, item.start).get("index")
    const own = body.subarray(item.start, item.end)
    const first = index === undefined ? own : edited(own, [{
      start: index.start - item.start,
      end: index.end - item.start,
      value: bytes("0"),
    }])
    return edited(body, [
      { start: list.start, end: list.end, value: concat([bytes("["), first, bytes("]")]) },
      ...counts.map(({ each, end, start }) => ({ start, end, value: bytes(String(each[i])) })),
    ])
  })
}
