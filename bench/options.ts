import { parseArgs } from "node:util"

export const groups = ["json", "stream", "slow", "paced", "tail", "ready", "idle", "observed", "aged", "deno"] as const
export type Group = typeof groups[number]

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly warmSeconds: number
  /** How often a round is measured at most, if other programs disturb it. */
  readonly tries: number
  /** How long the mixed load lasts that makes a process old. */
  readonly ageSeconds: number
  readonly only: ReadonlyArray<Group>
  readonly targets: ReadonlyArray<string> | undefined
  readonly json: string | undefined
}

export const usage = `node bench/run.ts [--quick] [--rounds N] [--seconds N] [--age-seconds N]
    [--only ${groups.join(",")}]
    [--targets llamero,before,node-http,undici,nginx,haproxy,direct,observed,unobserved,llamero-deno,node-http-deno]
    [--json FILE]`

const number = (name: string, text: string | undefined, fallback: number, least: number): number => {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(value) || value < least) throw new Error(`--${name} must be a whole number from ${least}`)
  return value
}

const among = <A extends string>(name: string, text: string | undefined, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const asked = text?.split(",") ?? all
  const wrong = asked.find((one) => !all.includes(one as A))
  if (wrong !== undefined) throw new Error(`--${name}: ${wrong} is not one of ${all.join(", ")}`)
  return asked as ReadonlyArray<A>
}

export const parse = (args: ReadonlyArray<string>, targets: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "age-seconds": { type: "string" },
      only: { type: "string" },
      targets: { type: "string" },
      json: { type: "string" },
    },
  })
  const { quick } = values
  return {
    // One round says nothing on a machine that also runs other programs.
    rounds: number("rounds", values.rounds, quick ? 2 : 5, 2),
    seconds: number("seconds", values.seconds, quick ? 1 : 5, 1),
    warmSeconds: quick ? 1 : 2,
    tries: quick ? 1 : 3,
    ageSeconds: number("age-seconds", values["age-seconds"], quick ? 10 : 60, 1),
    only: among("only", values.only, groups),
    targets: values.targets === undefined ? undefined : among("targets", values.targets, targets),
    json: values.json,
  }
}
