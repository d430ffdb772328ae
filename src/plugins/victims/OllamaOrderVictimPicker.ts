/**
 * Unloads models in the order of Ollama's own scheduler, for comparison.
 *
 * @since 0.1.0
 */
import type { VictimPicker } from "../../services/Plugin.ts"

/**
 * Picks models with the shortest keep-alive first, then by the digest of their weights, until enough is free. This is
 * what Ollama's `server/sched.go` does; it does not look at when a model was last used.
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
      // NaN when both are kept for ever.
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
