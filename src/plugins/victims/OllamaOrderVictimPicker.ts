/**
 * Unloads in Ollama's own order, for comparison.
 *
 * @since 0.1.0
 */
import type { VictimPicker } from "../../services/Plugin.ts"

/**
 * Shortest keep-alive first, then by the digest of the weights, until enough is free: what `server/sched.go` does, which is not LRU.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): VictimPicker => ({
  kind: "victim-picker",
  name: "ollama-order",
  pick: (victims, wanted) => {
    const order = victims.map((victim, index) => ({ victim, index })).toSorted((a, b) => {
      const keep = (a.victim.keepAliveMillis ?? 0) - (b.victim.keepAliveMillis ?? 0)
      // NaN when both are for ever.
      return keep < 0 || keep > 0
        ? keep
        : (a.victim.blob ?? a.victim.model) < (b.victim.blob ?? b.victim.model)
        ? -1
        : 1
    })
    const taken: Array<number> = []
    let bytes = 0
    for (const { index, victim } of order) {
      if (bytes >= wanted) break
      taken.push(index)
      bytes += victim.bytes
    }
    return bytes >= wanted ? taken : []
  },
})
