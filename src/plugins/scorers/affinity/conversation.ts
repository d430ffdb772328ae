/**
 * Finds the part of a body that is the same in every turn of one conversation: its messages up to the first one of the
 * user.
 *
 * @since 0.1.0
 */
const decoder = new TextDecoder()
const quote = 0x22
const backslash = 0x5c
/** The bytes of a body that are searched. */
const lookedAt = 64 * 1024

/** 1 for a bracket that opens, -1 for one that closes, 0 for any other byte. */
const opened = (byte: number): number => byte === 0x7b || byte === 0x5b ? 1 : byte === 0x7d || byte === 0x5d ? -1 : 0

/** The position after the bracket that opens the list `"messages"` or `"input"`; -1 where there is none. */
const listStart = (text: string): number => {
  const found = /"(?:messages|input)"\s*:\s*\[/.exec(text)
  return found === null ? -1 : found.index + found[0].length
}

/**
 * The bytes of a conversation's messages up to and with the first one of the user; `undefined` where the body holds no
 * conversation. The next turn of the conversation begins with the same bytes, so their hash names it. This is not a
 * JSON parser: a wrong result costs no more than a warm prompt cache.
 *
 * @internal
 */
export const beginning = (body: Uint8Array): Uint8Array | undefined => {
  // Latin-1 has one character for each byte, so that positions in the text are positions in the body.
  const head = new TextDecoder("latin1").decode(body.subarray(0, lookedAt))
  const start = listStart(head)
  if (start < 0) return undefined
  let depth = 0
  let from = start
  let inText = false
  for (let i = start; i < head.length; i++) {
    const byte = body[i]!
    if (inText) {
      if (byte === backslash) i++
      else if (byte === quote) inText = false
      continue
    }
    if (byte === quote) inText = true
    const change = opened(byte)
    if (change === 0) continue
    if (depth === 0 && change === 1) from = i
    depth += change
    if (depth < 0) return undefined
    if (depth === 0 && /"role"\s*:\s*"user"/.test(decoder.decode(body.subarray(from, i + 1)))) {
      return body.subarray(start, i + 1)
    }
  }
  // The first message is longer than the bytes searched: its beginning names the conversation well enough.
  return depth > 0 ? body.subarray(start, head.length) : undefined
}
