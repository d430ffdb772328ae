/**
 * The fields of an object and the items of an array, as spans of its bytes. `JSON.parse` gives values, and a value
 * written again need not have the same bytes.
 *
 * @since 0.1.0
 */
import type { Span } from "../services/RoutedRequest.ts"
import { closeBrace, closeBracket, openBrace, openBracket, quote, skipSpace, valueEnd } from "./json.ts"

/** One field of an object: the span of its value, and of its key with the quotes. @category models @since 0.1.0 */
export interface Field extends Span {
  readonly key: Span
}

const colon = 0x3a
const comma = 0x2c

/**
 * The fields of the object at `at`, without those of inner objects. `undefined` where the value is not an object, or is
 * not well formed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fieldsOf = (bytes: Uint8Array, at: number): ReadonlyArray<Field> | undefined => {
  if (bytes[at] !== openBrace) return undefined
  const fields: Array<Field> = []
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return fields
  for (;;) {
    const keyEnd = bytes[at] === quote ? valueEnd(bytes, at) : -1
    if (keyEnd < 0) return undefined
    const key = { start: at, end: keyEnd }
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] !== colon) return undefined
    const start = skipSpace(bytes, at + 1)
    const end = valueEnd(bytes, start)
    if (end < 0) return undefined
    fields.push({ key, start, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBrace) return fields
    if (bytes[at] !== comma) return undefined
    at = skipSpace(bytes, at + 1)
  }
}

/**
 * The items of the array at `at`. `undefined` where the value is not an array, or is not well formed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const itemsOf = (bytes: Uint8Array, at: number): ReadonlyArray<Span> | undefined => {
  if (bytes[at] !== openBracket) return undefined
  const items: Array<Span> = []
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBracket) return items
  for (;;) {
    const end = valueEnd(bytes, at)
    if (end < 0) return undefined
    items.push({ start: at, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBracket) return items
    if (bytes[at] !== comma) return undefined
    at = skipSpace(bytes, at + 1)
  }
}
