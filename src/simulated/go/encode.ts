/**
 * JSON as Go's `encoding/json` writes it. No npm library copies Go's escapes, which the bytes of an answer depend on.
 *
 * @since 0.1.0
 */

/**
 * JSON as Go marshals it: `undefined` fields left out, and `<`, `>`, `&` and the line separators escaped.
 *
 * @category encoding
 * @since 0.1.0
 */
export const goJson = (value: unknown): string => JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escape)

const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
