/**
 * What it costs to see all that can be seen: two servers that differ in nothing else. A round proves that it was seen.
 */
import { existsSync, statSync, truncateSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { ClosedLoop } from "./load/closedLoop.ts"
import { closed } from "./meters.ts"
import type { Options } from "./options.ts"
import * as Names from "./scenario.ts"
import type { Sample, Scenario } from "./scenario.ts"
import { adminToken, type Instance, logOf } from "./targets.ts"
import { asks } from "./wire.ts"

/** Bytes that a line of a request has at least. */
const LINE_BYTES = 250

/** Fewer answers may be without a trace. */
const FEW = 2000

/** What a server and its collector have seen so far. */
export interface Seen {
  readonly counted: number
  readonly logged: number
  readonly spans: number
  readonly decisions: number
}

const text = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> =>
  fetch(url, { headers: { connection: "close", ...headers } }).then((answer) => answer.text())

const seen = async ({ port, upstream }: Instance): Promise<Seen> => {
  const server = `http://127.0.0.1:${port}`
  const metrics = await text(`${server}/metrics`)
  const counts = Array.from(metrics.matchAll(/^llamero_requests_total\{.*\} (\d+)$/gm), ([, count]) => Number(count))
  const decisions = await text(`${server}/admin/decisions`, { authorization: `Bearer ${adminToken}` })
  return {
    counted: counts.reduce((sum, count) => sum + count, 0),
    logged: existsSync(logOf(port)) ? Math.floor(statSync(logOf(port)).size / LINE_BYTES) : 0,
    spans: Number(await text(`http://127.0.0.1:${upstream}/v1/traces`)),
    decisions: JSON.parse(decisions).decisions?.length ?? 0,
  }
}

/** What was not seen of the requests of a round, or was seen where nothing may be. */
export const unproven = (target: string, answers: number, before: Seen, after: Seen): ReadonlyArray<string> => {
  const grown = (field: keyof Seen) => after[field] - before[field]
  const isOn = target === "observed"
  const proofs = {
    metrics: isOn ? grown("counted") >= answers : after.counted === 0,
    "log lines": isOn ? grown("logged") >= answers : grown("logged") < answers / 100,
    // Of each request that is chosen there are three spans at least. Of a few requests, perhaps none is chosen.
    traces: !isOn || (answers < FEW ? after.spans > 0 : grown("spans") > answers * 0.01),
    decisions: isOn ? after.decisions > 0 : after.decisions === 0,
  }
  return Object.entries(proofs).flatMap(([name, holds]) => holds ? [] : [name])
}

/** Lines wait for a tenth of a second, spans for 5 seconds. */
const SEEN_WITHIN_MS = 7000

const prove = async (instance: Instance, answers: number, before: Seen): Promise<void> => {
  const deadline = performance.now() + SEEN_WITHIN_MS
  for (;;) {
    await sleep(200)
    const after = await seen(instance)
    const wrong = unproven(instance.target.name, answers, before, after)
    if (wrong.length === 0) return
    if (performance.now() > deadline) {
      throw new Error(`${instance.target.name}: ${wrong.join(", ")}: ${JSON.stringify({ answers, before, after })}`)
    }
  }
}

export const observedScenarios = (
  closedLoop: ClosedLoop,
  { seconds, warmSeconds }: Options,
): ReadonlyArray<Scenario> =>
  ([[Names.OBSERVED_JSON, asks.json], [Names.OBSERVED_STREAM, asks.stream]] as const).map(([name, body]) => {
    let answers = 0
    const counting: ClosedLoop = async (ask) => {
      const answered = await closedLoop(ask)
      answers = answered.answers
      return answered
    }
    const { measure, warm } = closed(counting, { body, connections: 32, seconds, warmSeconds })
    return {
      group: "observed",
      title: Names.titles.observed,
      name,
      compares: [{ metrics: ["rate", "cpu"], to: "unobserved", how: "ratio", says: "unobserved" }],
      targets: (all) => all.filter(({ only }) => only === "observed"),
      ...(warm === undefined ? {} : { warm }),
      measure: async (instance): Promise<Sample> => {
        if (existsSync(logOf(instance.port))) truncateSync(logOf(instance.port))
        const before = await seen(instance)
        const sample = await measure(instance)
        await prove(instance, answers, before)
        return sample
      },
    }
  })
