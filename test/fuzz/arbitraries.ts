/** Small arbitraries that the others are made of. */
import * as fc from "fast-check"

/** What an arbitrary makes. */
export type Made<A> = A extends fc.Arbitrary<infer T> ? T : never

/** Mostly `usual`; one time in `times` something else. Shrinks to `usual`. */
export const rarely = <A, B>(times: number, usual: A, odd: fc.Arbitrary<B>): fc.Arbitrary<A | B> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: times - 1, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: odd },
  )

/** A place in a text of any length, as a part of 10,000. Shrinks to the start. */
export const place: fc.Arbitrary<number> = fc.nat({ max: 10_000 })

/** The offset of a place. */
export const offset = (at: number, length: number): number => Math.floor(at * length / 10_000)

/** One change of a text: at a place, some characters are replaced by others. */
interface Edit {
  readonly at: number
  readonly removed: number
  readonly put: string
}

const nasty = [
  "",
  " ",
  "x",
  "null",
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "=",
  ";",
  "\n",
  "\r",
  "\r\n",
  "\r\n\r\n",
  "\t",
  "\0",
  "\xff",
  "\xef\xbb\xbf",
  "--b",
  "%00",
  "1e999",
]

/** A few changes of a text. */
export const edits: fc.Arbitrary<ReadonlyArray<Edit>> = fc.array(
  fc.record({ at: place, removed: rarely(3, 0, fc.nat({ max: 6 })), put: fc.constantFrom(...nasty) }),
  { maxLength: 3, size: "max" },
)

/** The text with the changes. */
export const edited = (text: string, all: ReadonlyArray<Edit>): string =>
  all.reduce((now, { at, put, removed }) => {
    const from = offset(at, now.length)
    return now.slice(0, from) + put + now.slice(from + removed)
  }, text)

export const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")
