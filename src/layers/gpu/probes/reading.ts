/**
 * Builds readings in which an unknown value is `Option.none`.
 *
 * @since 0.1.0
 */
import { ByteSize, Option } from "effect"

/**
 * Bytes from a driver: a whole number that a double can hold. Drivers use 2^64 - 1 for "not available", which is none
 * here.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bytes = (value: number | bigint | null | undefined): Option.Option<ByteSize.ByteSize> => {
  if (value === null || value === undefined) return Option.none()
  const number = Number(value)
  return Number.isSafeInteger(number) && number >= 0 ? Option.some(ByteSize.bytes(number)) : Option.none()
}

/**
 * A number from `minimum` to `maximum`. With any other number a driver says that it does not know.
 *
 * @category constructors
 * @since 0.1.0
 */
export const within = (minimum: number, maximum: number) => (value: number | null | undefined): Option.Option<number> =>
  typeof value === "number" && value >= minimum && value <= maximum ? Option.some(value) : Option.none()

/** Percent as a share from 0 to 1. @category constructors @since 0.1.0 */
export const percent = (value: number | null | undefined): Option.Option<number> =>
  Option.map(within(0, 100)(value), (share) => share / 100)

/** Degrees; the range fits any card and leaves out garbage values. @category constructors @since 0.1.0 */
export const celsius: (value: number | null | undefined) => Option.Option<number> = within(-50, 200)

/**
 * Watts; the range fits the board of a whole machine and leaves out garbage values.
 *
 * @category constructors
 * @since 0.1.0
 */
export const watts: (value: number | null | undefined) => Option.Option<number> = within(0, 20_000)

/** @category models @since 0.1.0 */
export interface Memory {
  readonly total: Option.Option<ByteSize.ByteSize>
  readonly free: Option.Option<ByteSize.ByteSize>
  readonly used: Option.Option<ByteSize.ByteSize>
}

/** @category constructors @since 0.1.0 */
export const noMemory: Memory = { total: Option.none(), free: Option.none(), used: Option.none() }

/**
 * Drops impossible values: no memory at all, or more free than total. Some devices with unified memory answer "success"
 * with such values.
 *
 * @category constructors
 * @since 0.1.0
 */
export const memory = (
  total: number | bigint | null | undefined,
  free: number | bigint | null | undefined,
  used: number | bigint | null | undefined,
): Memory => {
  const size = bytes(total)
  if (Option.isNone(size) || ByteSize.isZero(size.value)) return noMemory
  const fits = (value: ByteSize.ByteSize): boolean => ByteSize.isLessThanOrEqualTo(value, size.value)
  return { total: size, free: Option.filter(bytes(free), fits), used: Option.filter(bytes(used), fits) }
}

/** The smaller of two bounds; unknown if either is unknown. @category combinators @since 0.1.0 */
export const lesser = (
  a: Option.Option<ByteSize.ByteSize>,
  b: Option.Option<ByteSize.ByteSize>,
): Option.Option<ByteSize.ByteSize> =>
  Option.isSome(a) && Option.isSome(b) ? Option.some(ByteSize.min(a.value, b.value)) : Option.none()
