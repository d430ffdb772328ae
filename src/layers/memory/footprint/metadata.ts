/**
 * Reads `model_info` of `/api/show`. A field of the wrong type counts as missing.
 *
 * @since 0.1.0
 */

/**
 * The fields of `model_info`. Keys are given without the prefix of the architecture, except those of `general` and
 * `tokenizer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Metadata {
  readonly architecture: string
  readonly has: (key: string) => boolean
  /** A number of at least 0. */
  readonly number: (key: string) => number | undefined
  /** An array of numbers that was not left out. */
  readonly numbers: (key: string) => ReadonlyArray<number> | undefined
  /** The number, or the largest one of an array. */
  readonly largest: (key: string) => number | undefined
  readonly flag: (key: string) => boolean | undefined
  /** An array of booleans, or of numbers that stand for booleans. */
  readonly flags: (key: string) => ReadonlyArray<boolean> | undefined
  /** The length of an array that was not left out. */
  readonly length: (key: string) => number | undefined
  /** Whether the answer left out a value that the file has: an array of more than five elements, without `verbose`. */
  readonly withheld: (key: string) => boolean
}

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0

/** `undefined` if the answer names no architecture. @category constructors @since 0.1.0 */
export const metadata = (info: Readonly<Record<string, unknown>>): Metadata | undefined => {
  const architecture = info["general.architecture"]
  if (typeof architecture !== "string" || architecture === "") return undefined
  const absolute = (key: string) => /^(general|tokenizer)\./.test(key) ? key : `${architecture}.${key}`
  const get = (key: string): unknown => info[absolute(key)]
  const list = (key: string): ReadonlyArray<unknown> | undefined => {
    const value = get(key)
    return Array.isArray(value) && value.length > 0 ? value : undefined
  }
  const number = (key: string): number | undefined => {
    const value = get(key)
    return isCount(value) ? value : undefined
  }
  const numbers = (key: string): ReadonlyArray<number> | undefined => {
    const values = list(key)
    return values?.every(isCount) === true ? values : undefined
  }
  return {
    architecture,
    has: (key) => absolute(key) in info,
    number,
    numbers,
    largest: (key) => {
      const values = numbers(key)
      return values === undefined ? number(key) : Math.max(...values)
    },
    flag: (key) => {
      const value = get(key)
      return typeof value === "boolean" ? value : undefined
    },
    flags: (key) =>
      list(key)?.every((each) => typeof each === "boolean" || isCount(each)) === true
        ? list(key)?.map(Boolean)
        : undefined,
    length: (key) => list(key)?.length,
    withheld: (key) =>
      absolute(key) in info && (get(key) === null || (Array.isArray(get(key)) && list(key) === undefined)),
  }
}
