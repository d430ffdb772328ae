/**
 * Text of JSON that stays in one line, whatever a client has put into it.
 *
 * @since 0.1.0
 */

/**
 * Escapes characters that a terminal or a reader of lines may act on, as JSON does.
 *
 * @category conversions
 * @since 0.1.0
 */
export const escaped = (text: string): string =>
  // deno-lint-ignore no-control-regex
  text.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Text that is the same between quotes. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** A text as a string of JSON. @category conversions @since 0.1.0 */
export const quoted = (text: string): string => plain.test(text) ? `"${text}"` : escaped(JSON.stringify(text))
