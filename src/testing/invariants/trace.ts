import type { Checker } from "./watch.ts"

/**
 * Invariant 10: a hash over everything that happened. Two runs of one seed must give the same one.
 *
 * **Details**
 *
 * The caller compares the hashes. Exercised by answers that are in the hash.
 */
export const trace = (): Checker & { readonly hash: () => string } => {
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5
  let answers = 0
  const add = (text: string): void => {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  return {
    invariant: 10,
    name: "trace",
    hash: () => (hash >>> 0).toString(16),
    exercised: () => ({ "answers that were compared": answers }),
    on: {
      event: (event) => add(JSON.stringify(event)),
      sent: ({ backend, id }) => add(`${id}>${backend}`),
      closed: ({ chunks, endings, statuses }) => {
        answers++
        add(`${statuses} ${endings} ${chunks.length}`)
        for (const chunk of chunks) {
          for (let i = 0; i < chunk.length; i += 7) hash = Math.imul(hash ^ chunk[i]!, 0x01000193)
        }
      },
    },
  }
}
