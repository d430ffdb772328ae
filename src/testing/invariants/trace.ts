import type { Checker } from "./sights.ts"

/** Invariant 10: a number that stands for all that happened. Two runs of one seed must give the same one. */
export const trace = (): Checker & { readonly hash: () => string } => {
  let hash = 0x811c9dc5
  const add = (text: string): void => {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  return {
    invariant: 10,
    name: "trace",
    hash: () => (hash >>> 0).toString(16),
    see: {
      event: (event) => add(JSON.stringify(event)),
      sent: ({ backend, id }) => add(`${id}>${backend}`),
      closed: ({ chunks, endings, statuses }) => {
        add(`${statuses} ${endings} ${chunks.length}`)
        for (const chunk of chunks) {
          for (let i = 0; i < chunk.length; i += 7) hash = Math.imul(hash ^ chunk[i]!, 0x01000193)
        }
      },
    },
  }
}
