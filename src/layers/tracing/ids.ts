/**
 * Random ids of traces and spans.
 *
 * @since 0.1.0
 */

/** A random number from 0 to 1, 1 excluded. @internal */
export type Source = () => number

const bytes = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))

/** 8 digits. A table is ten times as fast as `toString(16)` is for large numbers. */
const word = (bits: number): string =>
  bytes[bits >>> 24]! + bytes[(bits >>> 16) & 255]! + bytes[(bits >>> 8) & 255]! + bytes[bits & 255]!

const random = (source: Source): string => word((source() * 2 ** 32) >>> 0)

/** Digits that a random number gives: it has 52 random bits. */
const step = 13

const digits = (number: number): string => {
  const high = Math.floor(number * 2 ** 32)
  const low = Math.floor((number * 2 ** 32 - high) * 2 ** 20)
  return word(high) + word(low).slice(3)
}

/** 16 hexadecimal digits. Not all are 0, which would not be valid. @internal */
export const span = (source: Source): string => {
  const id = random(source) + random(source)
  return /[^0]/.test(id) ? id : id.slice(1) + "1"
}

/**
 * The id of a trace that was decided on with a random number: 32 hexadecimal digits, of which the last 14 stand for
 * that number. Other services that sample by the id so decide alike.
 *
 * @internal
 */
export const trace = (source: Source, number: number): string => {
  const id = random(source) + random(source) + random(source)
  const start = id.slice(0, 18)
  return (/[^0]/.test(start) ? start : start.slice(1) + "1") + digits(number) + id.slice(23)
}

/** The number from 0 to 1 for which a trace id stands: the first 52 of its last 56 bits. @internal */
export const numberOf = (traceId: string): number => Number.parseInt(traceId.slice(18, 18 + step), 16) / 2 ** 52
