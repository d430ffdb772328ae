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
 * Calls `take` with the spans of each field of the object at `at`: its key with the quotes, and its value. Returns
 * whether there is an object that is well formed. The walk ends where it is not.
 *
 * @category scanning
 * @since 0.1.0
 */
export const eachField = (
  bytes: Uint8Array,
  at: number,
  take: (key: Span, start: number, end: number) => void,
): boolean => {
  if (bytes[at] !== openBrace) return false
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return true
  for (;;) {
    const keyEnd = bytes[at] === quote ? valueEnd(bytes, at) : -1
    if (keyEnd < 0) return false
    const key = { start: at, end: keyEnd }
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] !== colon) return false
    const start = skipSpace(bytes, at + 1)
    const end = valueEnd(bytes, start)
    if (end < 0) return false
    take(key, start, end)
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBrace) return true
    if (bytes[at] !== comma) return false
    at = skipSpace(bytes, at + 1)
  }
}

/**
 * Calls `take` with the span of each item of the array at `at`. Returns whether there is an array that is well formed.
 * The walk ends where it is not.
 *
 * @category scanning
 * @since 0.1.0
 */
export const eachItem = (bytes: Uint8Array, at: number, take: (start: number, end: number) => void): boolean => {
  if (bytes[at] !== openBracket) return false
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBracket) return true
  for (;;) {
    const end = valueEnd(bytes, at)
    if (end < 0) return false
    take(at, end)
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBracket) return true
    if (bytes[at] !== comma) return false
    at = skipSpace(bytes, at + 1)
  }
}

/**
 * The fields of the object at `at`, without those of inner objects. `undefined` where the value is not an object, or is
 * not well formed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fieldsOf = (bytes: Uint8Array, at: number): ReadonlyArray<Field> | undefined => {
  const fields: Array<Field> = []
  return eachField(bytes, at, (key, start, end) => void fields.push({ key, start, end })) ? fields : undefined
}

/**
 * The items of the array at `at`. `undefined` where the value is not an array, or is not well formed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const itemsOf = (bytes: Uint8Array, at: number): ReadonlyArray<Span> | undefined => {
  const items: Array<Span> = []
  return eachItem(bytes, at, (start, end) => void items.push({ start, end })) ? items : undefined
}
