/**
 * Assertions for checks: each throws an `AssertionError` of `node:assert`, which every test runner can print.
 *
 * @since 0.1.0
 */
import * as assert from "node:assert/strict"

export { deepStrictEqual, match, notStrictEqual, strictEqual } from "node:assert/strict"

/** @category assertions @since 0.1.0 */
export function ok(value: unknown, message = "expected it to hold"): asserts value {
  if (!value) assert.fail(message)
}

const must = (holds: boolean, what: string, message: string | undefined): void => {
  if (!holds) assert.fail(message === undefined ? what : `${message}: ${what}`)
}

/** @category assertions @since 0.1.0 */
export const isTrue = (value: boolean, message?: string): void => must(value === true, "expected true", message)
/** @category assertions @since 0.1.0 */
export const isFalse = (value: boolean, message?: string): void => must(value === false, "expected false", message)
/** @category assertions @since 0.1.0 */
export const isDefined = (value: unknown, message?: string): void =>
  must(value !== undefined, "expected something", message)
/** @category assertions @since 0.1.0 */
export const isUndefined = (value: unknown, message?: string): void =>
  must(value === undefined, "expected nothing", message)

// `NaN` compares as false, so it satisfies none of these.
/** @category assertions @since 0.1.0 */
export const isAbove = (a: number, b: number, message?: string): void => must(a > b, `${a} is not above ${b}`, message)
/** @category assertions @since 0.1.0 */
export const isBelow = (a: number, b: number, message?: string): void => must(a < b, `${a} is not below ${b}`, message)
/** @category assertions @since 0.1.0 */
export const isAtLeast = (a: number, b: number, message?: string): void => must(a >= b, `${a} is below ${b}`, message)
/** @category assertions @since 0.1.0 */
export const isAtMost = (a: number, b: number, message?: string): void => must(a <= b, `${a} is above ${b}`, message)

/** @category assertions @since 0.1.0 */
export const lengthOf = (list: { readonly length: number }, length: number, message?: string): void =>
  must(list.length === length, `${list.length} of them, not ${length}`, message)

/** Equal but for the order. @category assertions @since 0.1.0 */
export const sameMembers = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): void =>
  assert.deepStrictEqual(a.toSorted(), b.toSorted())
