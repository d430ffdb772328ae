/**
 * Walks over the members of JSON objects and the elements of JSON arrays in bytes. Values are skipped, never parsed.
 *
 * For bodies whose outer structure was scanned before. Where the text is not JSON, the walk ends.
 *
 * @since 0.1.0
 */
import { closeBracket, openBrace, openBracket, quote, readString, skipSpace, valueEnd } from "./json.ts"

/** Bytes, quotes included. No key that is looked for is longer. */
const keyMax = 256

const comma = 0x2c
const colon = 0x3a

/** Go's case folding includes the long s and the Kelvin sign. */
const folded = (key: string): string => key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k")

/**
 * Calls `take` with the key, in lower case, and the span of the value, for each member of the object whose brace is at
 * `at`. Does nothing when there is no object.
 *
 * @category scanning
 * @since 0.1.0
 */
export const eachMember = (
  bytes: Uint8Array,
  at: number,
  take: (key: string, start: number, end: number) => void,
): void => {
  if (bytes[at] !== openBrace) return
  for (at = skipSpace(bytes, at + 1); bytes[at] === quote; at = skipSpace(bytes, at + 1)) {
    const keyEnd = valueEnd(bytes, at)
    const between = keyEnd < 0 ? -1 : skipSpace(bytes, keyEnd)
    if (between < 0 || bytes[between] !== colon) return
    const start = skipSpace(bytes, between + 1)
    const end = valueEnd(bytes, start)
    if (end < 0) return
    take(keyEnd - at > keyMax ? "" : folded(readString(bytes, at, keyEnd) ?? ""), start, end)
    at = skipSpace(bytes, end)
    if (bytes[at] !== comma) return
  }
}

/**
 * Calls `take` with the span of each element of the array whose bracket is at `at`. Does nothing when there is no
 * array.
 *
 * @category scanning
 * @since 0.1.0
 */
export const eachElement = (bytes: Uint8Array, at: number, take: (start: number, end: number) => void): void => {
  if (bytes[at] !== openBracket) return
  at = skipSpace(bytes, at + 1)
  while (bytes[at] !== closeBracket) {
    const end = valueEnd(bytes, at)
    if (end < 0) return
    take(at, end)
    at = skipSpace(bytes, end)
    if (bytes[at] !== comma) return
    at = skipSpace(bytes, at + 1)
  }
}
