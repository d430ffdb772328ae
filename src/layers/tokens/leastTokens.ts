/**
 * The fewest tokens that a prompt can have, with any tokeniser in use.
 *
 * @since 0.1.0
 */
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import { rendered } from "../../wire/rendered.ts"

/**
 * Whether a byte belongs to a word: letters, digits and everything beyond ASCII. Punctuation and spaces are not
 * counted. The apostrophe is part of a word, because `don't` is one token for gpt-oss; so is the underscore, because
 * `<|start_header_id|>` is one for Llama 3.
 */
const isWordByte = (byte: number): boolean =>
  (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39) ||
  byte >= 0x80 || byte === 0x27 || byte === 0x5f

/** The longest token that is counted as one. Longer ones are rare; `internationalization` has 20 bytes. */
const tokenBytesMax = 24

/**
 * The number of words. No tokeniser joins two words into one token: those of Llama 3, Qwen, Mistral, Gemma and Phi
 * all split at word boundaries first. So each run of letters and digits is at least one token, and a very long run is
 * several.
 */
const wordsIn = (bytes: Uint8Array, start: number, end: number): number => {
  let words = 0
  let run = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte === 0x5c) {
      // In JSON `\n` ends a word, and `\u00e9` is one character of a word.
      if (bytes[at + 1] !== 0x75) {
        words += Math.ceil(run / tokenBytesMax)
        run = 0
        at++
      } else {
        run++
        at += 5
      }
    } else if (isWordByte(byte)) run++
    else if (run > 0) {
      words += Math.ceil(run / tokenBytesMax)
      run = 0
    }
  }
  return words + Math.ceil(run / tokenBytesMax)
}

/**
 * A lower bound of the tokens of a prompt: the words of what every template renders that can serve the request.
 *
 * **Details**
 *
 * In English prose it finds about three quarters of the tokens. Images are not counted: their tokens depend on the
 * model. Neither are, because some templates leave them out:
 *
 * - thinking of earlier answers, in a field or at the start of the content;
 * - tools, and calls of tools;
 * - system prompts and results of tools, where the request offers no tools;
 * - everything, where the request brings its own `template`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const leastTokens = ({ body, endpoint }: RoutedRequest): number => {
  let words = 0
  for (const { end, start } of rendered(body, endpoint).always) words += wordsIn(body, start, end)
  return words
}

/**
 * The bytes of a prompt, as in `Envelope.promptBytes`, without what no template renders.
 *
 * @category conversions
 * @since 0.1.0
 */
export const renderedBytes = ({ body, endpoint, envelope }: RoutedRequest): number =>
  Math.max(0, envelope.promptBytes - rendered(body, endpoint).neverBytes)
