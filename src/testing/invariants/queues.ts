import type { ClientAnswer } from "./observations.ts"
import type { Checker } from "./watch.ts"

const named = ({ id, model, tenant }: ClientAnswer): string => `${id} (model ${model}, tenant ${tenant})`

/**
 * Invariant 4: queues keep to their bounds, and every request gets exactly one answer.
 *
 * **Details**
 *
 * Exercised by requests that waited in a queue, and by requests that were shed because a queue was full.
 */
export const queues = (options: { readonly capacity: number; readonly bytes: number }): Checker => {
  const open = new Map<string, ClientAnswer>()
  const settled = new Set<string>()
  const counts = { waited: 0, shed: 0 }
  return {
    invariant: 4,
    name: "queues",
    exercised: () => ({
      "requests that waited": counts.waited,
      "requests that were shed by a full queue": counts.shed,
    }),
    on: {
      asked: (answer) => {
        open.set(answer.id, answer)
      },
      queues: (all) => {
        let bytes = 0
        for (const queue of all) {
          bytes += queue.bytes
          if (queue.depth > options.capacity) {
            return `${queue.depth} requests wait for ${queue.model}, and the bound is ${options.capacity}`
          }
        }
        if (bytes > options.bytes) return `${bytes} bytes wait, and the bound is ${options.bytes}`
      },
      closed: (answer) => {
        if (answer.endings.length > 1) return `${named(answer)} got ${answer.endings.length} answers`
      },
      event: (event) => {
        if (event._tag !== "RequestSettled") return
        const answer = open.get(event.id)
        if (answer === undefined) {
          return `${event.id} was settled ${settled.has(event.id) ? "twice" : "and was never asked"}`
        }
        open.delete(event.id)
        settled.add(event.id)
        if (event.settled.queuedMillis > 0) counts.waited++
        if (event.settled.refusal?.reason === "QueueFull") counts.shed++
        const { endings, left, statuses } = answer
        const expected = event.settled.result === "canceled" ? 0 : 1
        if (left ? endings.length > 1 : endings.length !== expected) {
          return `${named(answer)} is ${event.settled.result}, with ${endings.length} answers`
        }
        if (statuses.length > 1) return `${named(answer)} got ${statuses.length} heads`
        if (!left && expected === 0) return `${named(answer)} was canceled, and its client had not left`
      },
      idle: () => {
        if (open.size === 0) return undefined
        const first = [...open.values()].slice(0, 20).map(named)
        const more = open.size > first.length ? ` and ${open.size - first.length} more` : ""
        return `${open.size} requests never got an answer: ${first.join(", ")}${more}`
      },
    },
  }
}
