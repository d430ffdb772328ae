/**
 * What a backend says at the end of an answer about the work it did: read from the last bytes, without parsing the rest.
 *
 * @since 0.1.0
 */
import type { AnswerUsage } from "../../services/Outcome.ts"

/** Ollama writes its figures last, streamed or not; they are a few hundred bytes. */
const tailMax = 1024

const decoder = new TextDecoder("latin1")

/** The last chunks of an answer: as many as the figures can lie in, and at most three. @category models @since 0.1.0 */
export class Tail {
  private last: Uint8Array | undefined = undefined
  private before: Uint8Array | undefined = undefined
  private first: Uint8Array | undefined = undefined

  /** Keeps the chunk, and looks into none. */
  push(chunk: Uint8Array): void {
    const enough = chunk.length >= tailMax
    this.first = enough ? undefined : this.before
    this.before = enough ? undefined : this.last
    this.last = chunk
  }

  text(): string {
    let text = ""
    for (const chunk of [this.last, this.before, this.first]) {
      if (chunk === undefined || text.length >= tailMax) break
      text = decoder.decode(chunk.subarray(Math.max(0, chunk.length - tailMax + text.length))) + text
    }
    return text
  }
}

/** A quote inside a JSON string is escaped, so a key with both of its quotes can only be a key; the last one counts, since figures follow what was generated. */
const figure = (text: string, key: string): number | undefined => {
  const at = text.lastIndexOf(key)
  if (at < 0) return undefined
  let value = 0
  let digits = 0
  for (let i = at + key.length; i < text.length; i++, digits++) {
    const digit = text.charCodeAt(i) - 48
    // One blank after the colon is as good.
    if (digit === -16 && digits === 0 && i === at + key.length) digits--
    else if (digit < 0 || digit > 9) break
    else value = value * 10 + digit
  }
  return digits > 0 ? value : undefined
}

/**
 * Total time less what Ollama accounts for: the slot's queue is in the total alone, while the wait for a load counts as `load_duration`. Nanoseconds; Ollama
 * leaves out what is zero. Embeddings account for no time at all.
 */
const slotWait = (text: string, total: number): number | undefined => {
  const answering = figure(text, `"eval_duration":`)
  if (answering === undefined) return undefined
  const loading = figure(text, `"load_duration":`) ?? 0
  const reading = figure(text, `"prompt_eval_duration":`) ?? 0
  return Math.max(0, (total - loading - reading - answering) / 1e6)
}

/**
 * The figures at the end of an answer, in whichever dialect; `undefined` where there are none.
 *
 * @category decoding
 * @since 0.1.0
 */
export const usage = (text: string): AnswerUsage | undefined => {
  const total = figure(text, `"total_duration":`)
  if (total !== undefined) {
    return {
      promptTokens: figure(text, `"prompt_eval_count":`),
      answerTokens: figure(text, `"eval_count":`),
      slotWaitMillis: slotWait(text, total),
    }
  }
  const promptTokens = figure(text, `"prompt_tokens":`) ?? figure(text, `"input_tokens":`)
  if (promptTokens === undefined) return undefined
  const answerTokens = figure(text, `"completion_tokens":`) ?? figure(text, `"output_tokens":`)
  return { promptTokens, answerTokens, slotWaitMillis: undefined }
}
