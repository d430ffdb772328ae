/**
 * Random ids of traces and spans.
 *
 * @since 0.1.0
 */

/** A random number from 0 to 1, 1 excluded. @internal */
export type Source = () => number

/** Digits that one random number gives: it has 52 random bits. */
const step = 13

const digits = (number: number): string => Math.floor(number * 2 ** 52).toString(16).padStart(step, "0")

const random = (source: Source, length: number): string => {
  let text = ""
  while (text.length < length) text += digits(source())
  return text.slice(0, length)
}

/** 16 hexadecimal digits. Not all are 0, which would not be valid. @internal */
export const span = (source: Source): string => {
  const id = random(source, 16)
  return /[^0]/.test(id) ? id : id.slice(1) + "1"
}

/**
 * The id of a trace that was decided on with a random number: 32 hexadecimal digits, of which the last 14 stand for
 * that number. Other services that sample by the id so decide alike.
 *
 * @internal
 */
export const trace = (source: Source, number: number): string => {
  const id = random(source, 19)
  const start = id.slice(0, 18)
  return (/[^0]/.test(start) ? start : start.slice(1) + "1") + digits(number) + id.slice(18)
}

/** The number from 0 to 1 for which a trace id stands: the first 52 of its last 56 bits. @internal */
export const numberOf = (traceId: string): number => Number.parseInt(traceId.slice(18, 18 + step), 16) / 2 ** 52
