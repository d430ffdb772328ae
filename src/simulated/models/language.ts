/**
 * The text of simulated answers: the same request always gets the same tokens.
 *
 * @since 0.1.0
 */
import type { SimulatedModel } from "./simulatedModel.ts"

/**
 * One message of a conversation.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly role: string
  readonly content: string
}

/**
 * The prompt that the tiny models' chat template makes from a conversation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const render = (messages: ReadonlyArray<Message>): string => {
  let text = ""
  for (const { role, content } of messages) text += `${role}: ${content}\n`
  return text + "assistant:"
}

/**
 * The token at a position, the same in every answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const word = (index: number): string => words[index % words.length] ?? ""

const words = Array.from({ length: 48 }, (_, index) => ` word${String(index).padStart(2, "0")}`)

const encoder = new TextEncoder()

/** In the tiny models no token of the vocabulary matches, so each byte is one token; a space is three bytes. */
const bytesOf = (text: string): Uint8Array => encoder.encode("\u2581" + text.replaceAll(" ", "\u2581"))

const pieces = (text: string): number => {
  let count = 0
  for (const part of text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []) {
    count += /^[a-z0-9]+$/.test(part) ? part.length : 1
  }
  return count
}

/**
 * Tokens of a prompt, including those that the tokenizer adds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const countTokens = (model: SimulatedModel, text: string): number => {
  switch (model.tokenizer) {
    case "bytes":
      return bytesOf(text).length + 1
    case "wordpiece":
      return pieces(text) + 2
    case "chars4":
      return Math.ceil(text.length / 4) + 1
  }
}

/**
 * The token ids of a text, for the `context` of `/api/generate`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const tokenIds = (model: SimulatedModel, text: string): Array<number> => {
  if (model.tokenizer === "bytes") return Array.from(bytesOf(text), (byte) => byte + 3)
  const ids: Array<number> = []
  for (let at = 0; at < text.length; at += 4) ids.push(hash(text.slice(at, at + 4)) % model.vocabulary)
  return ids
}

/** FNV-1a, 32 bit. Effect's `Hash` is not specified, and the vectors must not change with a version. */
const hash = (text: string): number => {
  let state = 0x811c9dc5
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193)
  return state >>> 0
}

/**
 * The unit vector of a text in 32-bit floats. The same model and text always give the same vector.
 *
 * @category combinators
 * @since 0.1.0
 */
export const embedding = (model: SimulatedModel, text: string, dimensions?: number): Array<number> => {
  const raw: Array<number> = []
  let state = hash(`${model.blob} ${text}`) | 1
  for (let index = 0; index < model.embeddingLength; index++) {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    raw.push(state / 0x80000000)
  }
  const kept = dimensions !== undefined && dimensions > 0 ? raw.slice(0, dimensions) : raw
  const length = Math.hypot(...kept)
  return kept.map((value) => Math.fround(value / length))
}
