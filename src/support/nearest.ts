/**
 * Finds what a misspelt word was meant for. No library that the router has does it.
 *
 * @since 0.1.0
 */

/**
 * Edits between two texts: letters added, left out, replaced, and neighbours exchanged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const distance = (left: string, right: string): number => {
  let beforeLast: ReadonlyArray<number> = []
  let last: ReadonlyArray<number> = Array.from({ length: right.length + 1 }, (_, i) => i)
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const isSame = left[i - 1] === right[j - 1]
      const isExchanged = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]
      row[j] = Math.min(
        last[j]! + 1,
        row[j - 1]! + 1,
        last[j - 1]! + (isSame ? 0 : 1),
        isExchanged ? beforeLast[j - 2]! + 1 : Infinity,
      )
    }
    beforeLast = last
    last = row
  }
  return last[right.length]!
}

/**
 * The word that is most like a given one, if at most a third of its letters differ.
 *
 * @category combinators
 * @since 0.1.0
 */
export const nearest = (given: string, known: Iterable<string>): string | undefined => {
  const rated = Array.from(known, (word) => ({
    word,
    cost: distance(given.toLowerCase(), word.toLowerCase()) / Math.max(given.length, word.length, 1),
  }))
  const best = rated.reduce((a, b) => b.cost < a.cost ? b : a, { word: "", cost: Infinity })
  return best.cost <= 1 / 3 ? best.word : undefined
}

/** `; did you mean …?`, or nothing where no word is like the given one. @category combinators @since 0.1.0 */
export const didYouMean = (given: string, known: Iterable<string>): string => {
  const near = nearest(given, known)
  return near === undefined ? "" : `; did you mean ${near}?`
}
