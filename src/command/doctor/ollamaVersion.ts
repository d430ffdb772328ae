/**
 * Versions of Ollama and of drivers, as numbers that can be compared.
 *
 * @since 0.1.0
 */

/** The numbers of a version such as `v0.33.0-rc2` or `580.95.05`; `undefined` where there are none. */
export const numbers = (version: string | undefined): ReadonlyArray<number> | undefined => {
  const found = /^v?(\d+(?:\.\d+)*)/.exec(version?.trim() ?? "")?.[1]?.split(".").map(Number)
  // A build from source calls itself 0.0.0.
  return found?.some((part) => part > 0) === true ? found : undefined
}

/** Whether a version is below another one; `undefined` where it cannot be read. A candidate counts as released. */
export const isBelow = (version: string | undefined, least: string): boolean | undefined => {
  const [one, other] = [numbers(version), numbers(least)]
  if (one === undefined || other === undefined) return undefined
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
