import { parseArgs } from "node:util"

export const groups = ["json", "stream", "paced", "open"] as const
export type Group = typeof groups[number]

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly only: ReadonlyArray<Group>
  readonly peers: ReadonlyArray<string>
  /** Slow streams that are open at the same time. */
  readonly streams: number
  /** How often a round that other programs disturb is measured. The least disturbed one counts. */
  readonly tries: number
  readonly json: string | undefined
}

export const usage = `npm run bench:peers -- [--rounds N] [--seconds N] [--streams N] [--tries N] [--only ${
  groups.join(",")
}]
    [--peers llamero,nginx,...] [--json FILE]
    PEER_<NAME>=/path/to/program for a program that is not in PATH`

const number = (name: string, text: string | undefined, fallback: number): number => {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1`)
  return value
}

const among = <A extends string>(name: string, text: string | undefined, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const asked = text?.split(",") ?? all
  const wrong = asked.find((one) => !all.includes(one as A))
  if (wrong !== undefined) throw new Error(`--${name}: ${wrong} is not one of ${all.join(", ")}`)
  return all.filter((one) => asked.includes(one))
}

export const parse = (args: ReadonlyArray<string>, peers: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string" },
      peers: { type: "string" },
      streams: { type: "string" },
      tries: { type: "string" },
      json: { type: "string" },
    },
  })
  return {
    rounds: number("rounds", values.rounds, 3),
    seconds: number("seconds", values.seconds, 2),
    only: among("only", values.only, groups),
    peers: among("peers", values.peers, peers),
    streams: number("streams", values.streams, 500),
    tries: number("tries", values.tries, 3),
    json: values.json,
  }
}
