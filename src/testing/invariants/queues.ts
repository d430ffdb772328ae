import type { Answer, Checker } from "./sights.ts"

/** Invariant 4: queues keep to their bounds, and everyone gets exactly one answer. */
export const queues = (options: { readonly capacity: number; readonly bytes: number }): Checker => {
  const open = new Map<string, Answer>()
  const settled = new Set<string>()
  return {
    invariant: 4,
    name: "queues",
    see: {
      asked: (answer) => {
        open.set(answer.id, answer)
      },
      queues: (all) => {
        let bytes = 0
        for (const queue of all) {
          bytes += queue.bytes
          if (queue.depth > options.capacity) return `${queue.depth} wait for ${queue.model}`
        }
        if (bytes > options.bytes) return `${bytes} bytes wait`
      },
      closed: ({ endings, id }) => {
        if (endings.length > 1) return `${id} has ended ${endings.length} times`
      },
      event: (event) => {
        if (event._tag !== "RequestSettled") return
        const answer = open.get(event.id)
        if (answer === undefined) return `${event.id} was settled ${settled.has(event.id) ? "twice" : "unasked"}`
        open.delete(event.id)
        settled.add(event.id)
        const { endings, id, left, statuses } = answer
        const expected = event.settled.result === "canceled" ? 0 : 1
        if (left ? endings.length > 1 : endings.length !== expected) {
          return `${id} is ${event.settled.result}, with ${endings.length} answers`
        }
        if (statuses.length > 1) return `${id} got ${statuses.length} heads`
        if (!left && expected === 0) return `${id} was canceled by nobody`
      },
      idle: () =>
        open.size === 0 ? undefined : `${open.size} requests were never settled: ${[...open.keys()].slice(0, 3)}`,
    },
  }
}
