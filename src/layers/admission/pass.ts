/**
 * One look at a line: who of those that wait can go.
 *
 * @since 0.1.0
 */
import { alike, type Entry } from "./entry.ts"
import type { WaitingLine } from "./waitingLine.ts"

/**
 * Tries them in their order, and stops at the first that must wait, or a later one would overtake it.
 *
 * **Details**
 *
 * One that waits for a load, or a retry that may not go where it has already failed, holds up nobody: it is set aside for as long as the others are tried.
 * Of those that ask for the same only the first is asked.
 *
 * @category decisions
 * @since 0.1.0
 */
export const pass = (line: WaitingLine, tried: (entry: Entry) => "wait" | "loading" | "gone"): void => {
  const aside: Array<Entry> = []
  /** One of each kind that waits for a load. */
  const asked: Array<Entry> = []
  const loadedBefore = line.loading
  line.round++
  line.loading = false
  line.stopped = false
  for (let entry = line.first(); entry !== undefined; entry = line.first()) {
    const known = isKnown(asked, entry)
    const answer = known ? "loading" : tried(entry)
    if (answer === "gone") continue
    if (answer === "wait" && entry.demand.excluded.length === 0) {
      line.stopped = true
      break
    }
    if (answer === "loading") {
      if (aside.length === 0 && line.uniform) {
        line.loading = true
        if (!loadedBefore) { for (const { demand } of line.entries()) demand.cold = true }
        break
      }
      entry.demand.cold = true
      entry.loadingRound = line.round
      if (!known) asked.push(entry)
    }
    entry.flow?.queue.setAside(entry)
    aside.push(entry)
  }
  for (const entry of aside) entry.flow?.queue.bringBack(entry)
}

const isKnown = (asked: ReadonlyArray<Entry>, entry: Entry): boolean => asked.some((other) => alike(other, entry))
