/**
 * One setting: its environment variable, its meaning, its default and how its value is read.
 *
 * @since 0.1.0
 */
import type { Natural } from "./natural.ts"

/** A kind of value. */
export interface Kind<A> {
  /** How a value must look, in words: part of the error message. */
  readonly wanted: string
  /** The value, or `undefined` where the text is not one. */
  readonly parse: (text: string) => A | undefined
  /** The form of the value in a file. */
  readonly natural: Natural<A>
  /** Whether no error message may show a value. */
  readonly isSecret?: boolean | undefined
}

/**
 * One environment variable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Variable<A> extends Kind<A> {
  readonly name: string
  readonly meaning: string
  /** The default as text, as one would write it; empty where the default means "not set". */
  readonly shown: string
  /** The default as a value. */
  readonly fallback: A
  /** A variable that counts where this one is not set: one that other programs know, too. */
  readonly also?: string | undefined
}

/**
 * A variable. Its default is the value of `shown`, unless `fallback` gives another one.
 *
 * @internal
 */
export const variable = <A>(
  name: string,
  meaning: string,
  kind: Kind<A>,
  shown: string,
  fallback = kind.parse(shown),
): Variable<A> => {
  if (fallback === undefined) throw new RangeError(`Settings: the default of ${name} cannot be read, got ${shown}`)
  return { ...kind, name, meaning, shown, fallback }
}
