/**
 * Reads the token counts and times at the end of an answer, from its last bytes. The answer is never parsed as JSON:
 * that would cost time on every byte of it.
 *
 * @since 0.1.0
 */
import type { AnswerUsage } from "../../services/Outcome.ts"

/** Bytes. Ollama writes the figures last, in a few hundred bytes, whether the answer streams or not. */
const tailMax = 1024

/** Of UTF-8, since Node decodes other encodings more slowly. Only ASCII is looked for, so a character may be cut. */
const decoder = new TextDecoder()

const ending = (chunk: Uint8Array, length: number): string =>
  decoder.decode(chunk.length > length ? chunk.subarray(chunk.length - length) : chunk)

/** Keeps the last chunks of an answer, at most three, in which the figures are. @category models @since 0.1.0 */
export class Tail {
  private last: Uint8Array | undefined = undefined
  private before: Uint8Array | undefined = undefined
  private first: Uint8Array | undefined = undefined

  /** Keeps a chunk without reading it. */
  push(chunk: Uint8Array): void {
    const enough = chunk.length >= tailMax
    this.first = enough ? undefined : this.before
    this.before = enough ? undefined : this.last
    this.last = chunk
  }

  text(): string {
    const { before, first, last } = this
    let text = last === undefined ? "" : ending(last, tailMax)
    if (before !== undefined && text.length < tailMax) text = ending(before, tailMax - text.length) + text
    if (first !== undefined && text.length < tailMax) text = ending(first, tailMax - text.length) + text
    return text
  }
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9
const colon = 58

/**
 * The number after a key, which is given with its quotes. Quotes inside a JSON string are escaped, so the bytes of such
 * a key, with a colon after it, can only be a key. The last one counts: figures follow the generated text.
 */
const figure = (text: string, key: string, before = Infinity): number | undefined => {
  const found = text.lastIndexOf(key, before)
  if (found < 0) return undefined
  let at = found + key.length
  while (isSpace(text.charCodeAt(at))) at++
  if (text.charCodeAt(at) !== colon) return found === 0 ? undefined : figure(text, key, found - 1)
  at++
  while (isSpace(text.charCodeAt(at))) at++
  const from = at
  let value = 0
  for (;; at++) {
    const digit = text.charCodeAt(at) - 48
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
  }
  return at > from ? value : undefined
}

/**
 * Milliseconds in which the request waited for a slot on the backend: the total time without loading, reading and
 * answering. Ollama counts the wait for a slot in the total only. Its times are in nanoseconds, and it leaves out those
 * that are zero. Embeddings have no `eval_duration`, so nothing can be said of them.
 */
const slotWait = (text: string, total: number): number | undefined => {
  const answering = figure(text, `"eval_duration"`)
  if (answering === undefined) return undefined
  const loading = figure(text, `"load_duration"`) ?? 0
  const reading = figure(text, `"prompt_eval_duration"`) ?? 0
  return Math.max(0, (total - loading - reading - answering) / 1e6)
}

/**
 * The figures at the end of an answer, in any dialect; `undefined` when there are none.
 *
 * @category decoding
 * @since 0.1.0
 */
export const usage = (text: string): AnswerUsage | undefined => {
  const total = figure(text, `"total_duration"`)
  if (total !== undefined) {
    return {
      promptTokens: figure(text, `"prompt_eval_count"`),
      answerTokens: figure(text, `"eval_count"`),
      slotWaitMillis: slotWait(text, total),
    }
  }
  const promptTokens = figure(text, `"prompt_tokens"`) ?? figure(text, `"input_tokens"`)
  if (promptTokens === undefined) return undefined
  const answerTokens = figure(text, `"completion_tokens"`) ?? figure(text, `"output_tokens"`)
  return { promptTokens, answerTokens, slotWaitMillis: undefined }
}
