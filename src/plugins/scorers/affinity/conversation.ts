/**
 * What is the same in every turn of one conversation: its messages up to the first one of the user.
 *
 * @since 0.1.0
 */
const decoder = new TextDecoder()
const quote = 0x22
const backslash = 0x5c
/** Of a body looked at for the beginning of the messages; and of the messages. */
const lookedAt = 64 * 1024

const opened = (byte: number): number => byte === 0x7b || byte === 0x5b ? 1 : byte === 0x7d || byte === 0x5d ? -1 : 0

/** Where the first list under `"messages"` or `"input"` begins. */
const listStart = (text: string): number => {
  const found = /"(?:messages|input)"\s*:\s*\[/.exec(text)
  return found === null ? -1 : found.index + found[0].length
}

/**
 * The bytes of a conversation's messages up to and with the first one of the user; `undefined` where the body holds no conversation. The next turn begins
 * with the same bytes, so their hash names the conversation. Not a parser: a wrong guess costs a warm prompt cache and nothing else.
 *
 * @internal
 */
export const beginning = (body: Uint8Array): Uint8Array | undefined => {
  // Latin-1 keeps one character to a byte, so that places in the text are places in the body.
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
  // A first message too long to look through: what there is of it will do.
  return depth > 0 ? body.subarray(start, head.length) : undefined
}
