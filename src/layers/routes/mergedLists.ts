/**
 * Merges Ollama's lists without reformatting them. A row stays the bytes that a backend sent, which keeps field order,
 * number format and fields that a later version of Ollama adds.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"
import { skipSpace, text as textIn } from "../../wire/json.ts"
import { fieldsOf, itemsOf } from "../../wire/jsonParts.ts"

/**
 * One element of a list: its own text, and the fields that merging looks at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/**
 * The rows under a top-level key that holds a list of objects (`models`, `data`). No rows where the list is `null`;
 * `undefined` where the body is not such an answer.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (body: Uint8Array, key: string): ReadonlyArray<Row> | undefined => {
  const whole = Option.getOrUndefined(decode(textIn(body, 0, body.length)))
  if (whole === undefined) return undefined
  if (whole[key] === null) return []
  const values = whole[key]
  if (!Array.isArray(values)) return undefined
  const list = fieldsOf(body, skipSpace(body, 0))?.findLast((field) =>
    textIn(body, field.key.start + 1, field.key.end - 1) === key
  )
  const items = list === undefined ? undefined : itemsOf(body, list.start)
  if (items?.length !== values.length) return undefined
  return items.map(({ end, start }, index) => ({
    text: textIn(body, start, end),
    fields: typeof values[index] === "object" && values[index] !== null ? values[index] : {},
  }))
}

/**
 * The union of several lists. Of rows with the same key, the row with the highest rank is kept. Rows are sorted by
 * rank, highest first, as Ollama sorts its own lists. The list of a single backend keeps that backend's order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const union = (
  lists: ReadonlyArray<ReadonlyArray<Row>>,
  key: (row: Row) => string,
  rank: (row: Row) => number,
): ReadonlyArray<Row> => {
  if (lists.length === 1) return lists[0]!
  const best = new Map<string, Row>()
  for (const row of lists.flat()) {
    const name = key(row)
    const held = best.get(name)
    if (held === undefined || rank(row) > rank(held)) best.set(name, row)
  }
  return Array.from(best.values()).sort((a, b) => rank(b) - rank(a))
}

/** A text field; empty where it is missing or something else. @category accessors @since 0.1.0 */
export const text = (row: Row, field: string): string => {
  const value = row.fields[field]
  return typeof value === "string" ? value : ""
}

/** A date field, in milliseconds since 1970; 0 where it is missing or not a date. @category accessors @since 0.1.0 */
export const millis = (row: Row, field: string): number => Date.parse(text(row, field)) || 0
