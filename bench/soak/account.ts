/** The account at the end of a soak. Every number that it prints is also checked. */
import type { Tally } from "./load.ts"

export type Sums = (name: string) => number

export interface Books {
  readonly tally: Tally
  readonly sums: Sums
  readonly backends: ReadonlyArray<{ readonly asked: number; readonly answered: number }>
  /** MiB of the router, once a second. */
  readonly rss: ReadonlyArray<number>
  readonly done: Readonly<Record<string, number>>
  readonly seconds: number
  readonly rate: number
  readonly held: ReadonlyArray<string>
  readonly gone: string | undefined
}

const mean = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length)

/** V8 first collects all garbage after some two minutes at this rate. Growth of memory before that says nothing. */
const judgedSeconds = 300

/** `short`: nothing is wrong, but the machine could not send requests at the wanted rate. */
export type Verdict = "right" | "short" | "wrong"

/** Prints the account and returns the verdict. */
export const account = ({ backends, done, gone, held, rate, rss, seconds, sums, tally }: Books): Verdict => {
  let wrong = 0
  const line = (holds: boolean, text: string): void => {
    if (!holds) wrong++
    console.log(`${holds ? "ok   " : "WRONG"} ${text}`)
  }
  const errors = [...tally.errors.values()].reduce((sum, one) => sum + one, 0)
  const answers = tally.whole + errors
  const byStatus = [...tally.errors].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`).join(", ")
  console.log(
    `\n${seconds} s, ${
      Object.entries(done).map(([name, n]) => `${n} ${name}`).join(", ")
    } of ${backends.length} backends\n`,
  )
  line(gone === undefined, `the router is up${gone === undefined ? "" : `: ${gone}`}`)
  const reached = tally.sent / seconds
  const enough = reached >= 0.98 * rate
  console.log(`${enough ? "ok   " : "SHORT"} ${tally.sent} requests sent, ${reached.toFixed(0)} a second of ${rate}`)
  line(
    tally.sent === answers + tally.left + tally.stalled + tally.broken + tally.wrong.length,
    `= ${tally.whole} whole answers + ${errors} proper errors (${byStatus}) + ${tally.left} clients left + ${tally.stalled} cut for not reading + ${tally.broken} broken off in one piece + ${tally.wrong.length} wrong`,
  )
  line(tally.wrong.length === 0, `${tally.wrong.length} requests had no right answer`)
  for (const what of tally.wrong.slice(0, 10)) console.log(`        ${what}`)

  const midway = sums("llamero_attempts_total reset-midway") + sums("llamero_attempts_total gap-timeout")
  line(
    tally.broken <= midway,
    `${tally.broken} answers in one piece broke off, of ${midway} that backends broke off midway`,
  )

  const settled = sums("llamero_requests_total")
  // A client may leave before the router has read its request.
  line(
    settled <= tally.sent && settled >= tally.sent - tally.left,
    `${settled} requests settled by the router's metrics: all that were sent, except at most ${tally.left} whose clients left before they were read`,
  )
  for (const [status, n] of [["4xx", 4], ["5xx", 5]] as const) {
    const client = [...tally.errors].filter(([code]) => Math.floor(code / 100) === n).reduce((sum, [, m]) => sum + m, 0)
    const router = sums(`llamero_requests_total refused ${status}`) + sums(`llamero_requests_total answered ${status}`)
    line(
      client <= router && client >= router - tally.left,
      `${client} answers of ${status} at the clients, ${router} by the router's metrics, at most ${tally.left} of them to clients that left`,
    )
  }
  const asked = backends.reduce((sum, one) => sum + one.asked, 0)
  const answered = backends.reduce((sum, one) => sum + one.answered, 0)
  const attempts = sums("llamero_attempts_total")
  line(
    asked <= attempts,
    `${attempts} attempts by the router's metrics, ${asked} of them reached a backend, ${answered} were answered to the end`,
  )
  const shared = sums("llamero_coalesced_total")
  line(
    tally.whole <= answered + shared,
    `${tally.whole} whole answers at the clients, from ${answered} of backends and ${shared} shared`,
  )
  const third = Math.floor(rss.length / 3)
  const [first, second, last] = [0, 1, 2].map((i) => mean(rss.slice(i * third, (i + 1) * third)))
  line(
    last! <= 1.1 * second! || seconds < judgedSeconds,
    `memory of the router by thirds: ${first!.toFixed(0)}, ${second!.toFixed(0)}, ${
      last!.toFixed(0)
    } MiB; last / second = ${(last! / second!).toFixed(2)}${
      seconds < judgedSeconds ? ` (judged from ${judgedSeconds} s on)` : ""
    }`,
  )
  for (const name of held) line(sums(name) === 0, `${name} ${sums(name)} at the end`)
  if (wrong > 0) console.log(`\n${wrong} lines are wrong`)
  else if (enough) console.log("\neverything is right")
  else console.log("\nnothing is wrong, but this machine was too busy for the rate")
  return wrong > 0 ? "wrong" : enough ? "right" : "short"
}
