import type { Attempt, ClientAnswer } from "./observations.ts"
import type { Checker } from "./watch.ts"

/**
 * Invariant 5: no further attempt once a byte of a backend was passed on, at most `most` attempts for a request, and
 * never the answers of two backends.
 *
 * **Details**
 *
 * Exercised by second attempts, and by attempts that failed after a byte was passed on, where no other may follow.
 */
export const attempts = (options: { readonly most: number }): Checker => {
  const answers = new Map<string, ClientAnswer>()
  const sent = new Map<string, Array<Attempt>>()
  const counts = { second: 0, late: 0 }
  return {
    invariant: 5,
    name: "attempts",
    exercised: () => ({
      "second attempts": counts.second,
      "attempts that failed after a byte was passed on": counts.late,
    }),
    on: {
      asked: (answer) => void answers.set(answer.id, answer),
      over: ({ ending, id }) => {
        if (ending === "fail" && (answers.get(id)?.chunks.length ?? 0) > 0) counts.late++
      },
      sent: (attempt) => {
        const before = sent.get(attempt.id)
        if (before === undefined) return void sent.set(attempt.id, [attempt])
        before.push(attempt)
        counts.second++
        if (before.length > options.most) return `${attempt.id} was sent ${before.length} times`
        const answer = answers.get(attempt.id)
        if (answer !== undefined && answer.opens > 0) return `${attempt.id} was sent again after its answer had begun`
      },
      closed: ({ id, opens }) => opens > 1 ? `${id} was passed ${opens} answers` : undefined,
      event: (event) => {
        if (event._tag !== "RequestSettled") return
        answers.delete(event.id)
        sent.delete(event.id)
      },
    },
  }
}
