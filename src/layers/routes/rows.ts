/**
 * Merging Ollama's lists without reformatting them: rows stay the bytes a backend sent, so that field order, number format and fields that a later
 * version adds all survive.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"

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

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
const opens = (code: number): boolean => code === 0x7b || code === 0x5b
const closes = (code: number): boolean => code === 0x7d || code === 0x5d

const skipSpace = (json: string, at: number): number => {
  while (at < json.length && isSpace(json.charCodeAt(at))) at++
  return at
}

/** Where the value that starts at `at` ends. The text is known to be valid JSON. */
const endOf = (json: string, at: number): number => {
  let depth = 0
  for (let i = at; i < json.length; i++) {
    const code = json.charCodeAt(i)
    if (code === quote) {
      for (i++; json.charCodeAt(i) !== quote; i++) if (json.charCodeAt(i) === backslash) i++
    } else if (opens(code)) depth++
    else if (depth > 0 && closes(code)) depth--
    else if (depth === 0 && (code === comma || closes(code) || code === colon || isSpace(code))) return i
  }
  return json.length
}

/** The text of each member of the object or array that starts at `at`; for an object the names come too. */
const members = (json: string, at: number): ReadonlyArray<{ readonly name: string; readonly start: number }> => {
  const found: Array<{ readonly name: string; readonly start: number }> = []
  const named = json[at] === "{"
  for (let i = skipSpace(json, at + 1); i < json.length && !closes(json.charCodeAt(i));) {
    let name = ""
    if (named) {
      const end = endOf(json, i)
      name = json.slice(i + 1, end - 1)
      i = skipSpace(json, skipSpace(json, end) + 1)
    }
    found.push({ name, start: i })
    i = skipSpace(json, endOf(json, i))
    if (json.charCodeAt(i) === comma) i = skipSpace(json, i + 1)
  }
  return found
}

/**
 * The rows under a top-level key that holds a list of objects (`models`, `data`); none where the list is `null`; `undefined` where the text is no such answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (json: string, key: string): ReadonlyArray<Row> | undefined => {
  const whole = Option.getOrUndefined(decode(json))
  if (whole === undefined) return undefined
  if (whole[key] === null) return []
  const values = whole[key]
  if (!Array.isArray(values)) return undefined
  const list = members(json, skipSpace(json, 0)).find((member) => member.name === key)
  if (list === undefined) return undefined
  return members(json, list.start).map(({ start }, index) => ({
    text: json.slice(start, endOf(json, start)),
    fields: typeof values[index] === "object" && values[index] !== null ? values[index] : {},
  }))
}

/**
 * The union of several lists: one row for each key, the row with the highest rank; highest rank first, as Ollama orders its own lists. A list that comes from
 * one backend alone keeps that backend's order.
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

/** A field that should be text; empty where it is not. @category accessors @since 0.1.0 */
export const text = (row: Row, field: string): string => {
  const value = row.fields[field]
  return typeof value === "string" ? value : ""
}

/** A field that holds a date, in milliseconds; 0 where it does not. @category accessors @since 0.1.0 */
export const millis = (row: Row, field: string): number => Date.parse(text(row, field)) || 0
