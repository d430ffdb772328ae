/**
 * Time-outs along the way: client, proxy, router, Ollama. Each must be longer than those inside of it.
 *
 * @since 0.1.0
 */
import type { Settings } from "../../../layers/Settings.ts"
import { type Check, finding, time } from "../finding.ts"
import * as Variables from "../ollamaVariables.ts"

interface Pair {
  readonly inner: readonly [name: string, millis: (settings: Settings) => number]
  readonly outer: readonly [name: string, millis: (settings: Settings) => number]
  readonly cause: string
}

const firstByte = ["LLAMERO_FIRST_BYTE_TIMEOUT", ({ firstByteMillis }: Settings) => firstByteMillis] as const

const pairs: ReadonlyArray<Pair> = [
  {
    inner: ["LLAMERO_CONNECT_TIMEOUT", ({ connectMillis }) => connectMillis],
    outer: firstByte,
    cause: "The wait for the first byte contains the wait for the connection.",
  },
  {
    inner: firstByte,
    outer: ["LLAMERO_ANSWER_TIMEOUT", ({ answerMillis }) => answerMillis],
    cause: "A whole answer takes longer than its first byte. Answers that do not stream are cut too early.",
  },
  {
    inner: firstByte,
    outer: ["LLAMERO_TOTAL_TIMEOUT", ({ totalMillis }) => totalMillis],
    cause: "The limit of the whole answer ends before the wait for its first byte.",
  },
  {
    inner: ["LLAMERO_GAP_TIMEOUT", ({ gapMillis }) => gapMillis],
    outer: ["LLAMERO_TOTAL_TIMEOUT", ({ totalMillis }) => totalMillis],
    cause: "The limit of the whole answer ends before one gap in it may.",
  },
  {
    inner: ["LLAMERO_HEARTBEAT", ({ heartbeatMillis }) => heartbeatMillis],
    outer: firstByte,
    cause: "No heartbeat is ever sent while a client waits for the first byte.",
  },
]

/** The router's own time-outs. */
export const order: Check = ({ settings: { values } }) =>
  pairs.flatMap(({ cause, inner: [inner, innerMillis], outer: [outer, outerMillis] }) =>
    innerMillis(values) <= outerMillis(values) ? [] : [finding("timeout-order", {
      subject: outer,
      symptom: `${outer} is ${time(outerMillis(values))}, and ${inner} is ${time(innerMillis(values))}`,
      cause,
      remedy: `Set ${outer} above ${inner}.`,
    })]
  )

/** Milliseconds. nginx waits so long for the next bytes by default, and so do the load balancers of large clouds. */
const usualProxy = 60_000

/** Heartbeats, against the proxy in front. */
export const proxy: Check = (
  { inFront: { proxyMillis }, settings: { values: { firstByteMillis, heartbeatMillis } } },
) => {
  if (proxyMillis !== undefined) {
    return proxyMillis > heartbeatMillis ? [] : [finding("proxy-timeout-short", {
      subject: "LLAMERO_HEARTBEAT",
      symptom: `the proxy waits ${time(proxyMillis)}, and the first heartbeat comes after ${time(heartbeatMillis)}`,
      cause: "While a model loads or reads a long prompt nothing is sent. The proxy then cuts the stream.",
      remedy: `Set LLAMERO_HEARTBEAT to half of the proxy's time, or raise it (nginx: proxy_read_timeout).`,
    })]
  }
  if (heartbeatMillis < usualProxy || heartbeatMillis > firstByteMillis) return []
  return [finding("heartbeat-slow", {
    subject: "LLAMERO_HEARTBEAT",
    symptom: `the first heartbeat comes after ${time(heartbeatMillis)}`,
    cause: "Most proxies cut a stream after 60 seconds without a byte, while a model loads or reads a long prompt.",
    remedy: "Set LLAMERO_HEARTBEAT=15s, or tell this command the time of your proxy with --proxy-timeout.",
  })]
}

/** The clients' own limit. */
export const client: Check = ({ inFront: { clientMillis }, settings: { values: { queueMillis } } }) =>
  clientMillis === undefined || clientMillis > queueMillis ? [] : [finding("client-timeout-short", {
    subject: "LLAMERO_QUEUE_DEADLINE",
    symptom: `clients wait ${time(clientMillis)}, and the queue may hold them for ${time(queueMillis)}`,
    cause: "Clients leave the queue before the router tells them when to come back, and ask again at its end.",
    remedy: "Set LLAMERO_QUEUE_DEADLINE below the time of the clients, or let the clients wait longer.",
  })]

/** Loads. Ollama's own limit is for a load that stands still; whoever raises it has slow loads. */
export const loads: Check = ({ environments, settings: { values: { loadMillis } } }) =>
  environments.filter(({ of }) => of === "ollama").flatMap(({ from, values }) => {
    const { value } = Variables.loadTimeout(values)
    if (value === undefined || value <= loadMillis) return []
    return [finding("load-timeout-short", {
      subject: "LLAMERO_LOAD_TIMEOUT",
      symptom: `OLLAMA_LOAD_TIMEOUT is ${time(value)} (${from}), and LLAMERO_LOAD_TIMEOUT is ${time(loadMillis)}`,
      cause:
        "The router gives up on a load that Ollama would finish. Ollama then stops the load, and the next request " +
        "starts it from the beginning.",
      remedy: Number.isFinite(value)
        ? `Set LLAMERO_LOAD_TIMEOUT=${Math.ceil(value / 1000)}s or longer.`
        : "Set LLAMERO_LOAD_TIMEOUT to the longest load that you accept, and OLLAMA_LOAD_TIMEOUT to the same.",
    })]
  })
