/**
 * Orders Ollama's version numbers. Two small functions, which do not justify a dependency on a semver library.
 *
 * @since 0.1.0
 */

const parts = (version: string): readonly [ReadonlyArray<number>, string] => {
  const [numbers = "", ...rest] = version.replace(/^v/, "").split("-")
  return [numbers.split(".").map((part) => Number.parseInt(part, 10) || 0), rest.join("-")]
}

/**
 * Negative where `a` is older. A pre-release (`0.33.0-rc2`) is older than its release.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compare = (a: string, b: string): number => {
  const [left, leftTag] = parts(a)
  const [right, rightTag] = parts(b)
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  if (leftTag === rightTag) return 0
  if (leftTag === "" || rightTag === "") return leftTag === "" ? 1 : -1
  return leftTag.localeCompare(rightTag, "en", { numeric: true })
}

/** The oldest version; `undefined` for an empty list. @category combinators @since 0.1.0 */
export const lowest = (versions: ReadonlyArray<string>): string | undefined =>
  versions.reduce<string | undefined>(
    (low, next) => low === undefined || compare(next, low) < 0 ? next : low,
    undefined,
  )
