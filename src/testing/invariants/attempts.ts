import type { Answer, Checker, Sent } from "./sights.ts"

/** Invariant 5: no second attempt once a byte of a backend was passed on, at most three in all, and never two answers passed on. */
export const attempts = (options: { readonly most: number }): Checker => {
  const answers = new Map<string, Answer>()
  const sent = new Map<string, Array<Sent>>()
  return {
    invariant: 5,
    name: "attempts",
    see: {
      asked: (answer) => void answers.set(answer.id, answer),
      sent: (attempt) => {
        const before = sent.get(attempt.id)
        if (before === undefined) return void sent.set(attempt.id, [attempt])
        before.push(attempt)
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
