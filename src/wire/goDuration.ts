/**
 * Reads durations as Go and Ollama write them.
 *
 * @since 0.1.0
 */

/** `0.2`, `10`. @category parsing @since 0.1.0 */
export const decimal = (text: string): number | undefined => /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Go's durations, as Ollama takes them (`500ms`, `30s`, `1m30s`), and Effect's (`30 seconds`), in milliseconds and above zero. @category parsing @since 0.1.0 */
export const millis = (text: string): number | undefined => {
  const short = text.toLowerCase()
    .replace(/\s*(milliseconds?|millis?)\b/g, "ms").replace(/\s*seconds?\b/g, "s")
    .replace(/\s*minutes?\b/g, "m").replace(/\s*hours?\b/g, "h").replace(/\s+/g, "")
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(short)) return undefined
  let total = 0
  for (const [, value, unit] of short.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) total += Number(value) * units[unit!]!
  return total > 0 ? Math.round(total) : undefined
}
