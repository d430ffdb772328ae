/** The real server on a socket, and the simulated Ollama behind it. Sends what clients send, and finds faults. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer, Logger } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as OllamaApp from "../../src/layers/OllamaApp.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as HttpOllamaApi from "../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import * as ModelName from "../../src/services/ModelName.ts"
import type { Guard } from "../../src/services/Plugin.ts"
import type { RoutedRequest } from "../../src/services/RoutedRequest.ts"
import type { CallRecord } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { held, nothing } from "../../src/testing/routers.ts"
import { answersIn, shapeFault } from "./answers.ts"
import { idOf, isPassedOn, isRead, modelOf } from "./backendBodies.ts"
import type { Client, Request, Sent } from "./requests.ts"
import { type Received, send } from "./send.ts"

/** All bodies together may have as many bytes as the largest one. */
const limits = { bodyBytesMax: 64 * 1024, heldBytesMax: 64 * 1024, drainTimeout: "100 millis" } as const

/** Remembers the requests that the router read, by their ids. */
const recorder = (read: Map<string, RoutedRequest>): Guard => ({
  kind: "guard",
  name: "recorder",
  check: (request) => {
    read.set(request.id, request)
    return { _tag: "Pass", request }
  },
})

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString("latin1").slice(-1000))

/** Deno resets a connection that it closes before it has read the whole body: its client may lose the answer. */
const mayLose = "Deno" in globalThis

/** What is wrong with the answers on one connection. */
const answerFaults = (sent: Sent, { bytes, closed }: Received): ReadonlyArray<string> => {
  const came = answersIn(bytes, closed)
  const isClosing = came.at(-1)?.headers.get("connection") === "close"
  const isCut = sent.leaves !== undefined || (mayLose && closed)
  const missing = sent.isWhole && !isCut && came.length < (isClosing ? 1 : sent.requests.length)
  return [
    ...(missing ? [`${came.length} answers to ${sent.requests.length} requests`] : []),
    ...came.flatMap((answer, i) => {
      // What comes after the client has gone is not seen.
      if (isCut && !answer.isWhole) return []
      return shapeFault(answer, sent.isWhole ? sent.requests[i] : undefined, !sent.isWhole) ?? []
    }),
  ].map((fault) => `${fault} -> ${shown(bytes)}`)
}

/** What is wrong with a call, which the router made for a request that it read. */
const callFaults = (call: CallRecord, read: RoutedRequest | undefined, plain: Buffer | undefined) => {
  if (read === undefined) return []
  const faults: Array<string> = []
  const model = modelOf(call)
  if (model !== undefined && ModelName.canonical(model) !== ModelName.canonical(read.envelope.model)) {
    faults.push(`the router read ${JSON.stringify(read.envelope.model)}, Ollama ${JSON.stringify(model)}`)
  }
  const got = shown(Buffer.from(call.body ?? []))
  if (plain !== undefined && !isRead(read, plain)) {
    faults.push(`the router read other bytes: ${shown(Buffer.from(read.body))} in place of ${shown(plain)}`)
  }
  if (!isPassedOn(call, read)) {
    faults.push(`Ollama got other bytes: ${got} in place of ${shown(Buffer.from(read.body))}`)
  }
  return faults
}

/** A request that fits only if not one byte of another body is held. */
const good = (() => {
  const body = `{"model":"llama3.1:8b","prompt":"hi","stream":false,"options":{"num_predict":1}}`
    .padStart(limits.heldBytesMax)
  const head = `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}`
  return { bytes: Buffer.from(`${head}\r\n\r\n${body}`), isWhole: true, leaves: undefined, pieces: [] }
})()

/** How long anything may take before it is a hang, in milliseconds. */
export interface Patience {
  readonly millis: number
}

/** What worlds have seen, so that a test knows that it sees enough. */
export interface Tally {
  requests: number
  /** Answers with 200. */
  succeeded: number
  /** Calls whose bytes were compared with what the client sent. */
  compared: number
  /** Calls that ended because the client went away. */
  aborted: number
}

export interface World {
  /** Serves clients at the same time. Gives what is wrong, in words. */
  readonly check: (clients: ReadonlyArray<Client>) => Promise<ReadonlyArray<string>>
}

/** A world of its own, until the scope closes. After a fault it must not be used again: it may have a leak. */
export const make = Effect.fnUntraced(function* (patience: Patience, tally: Tally) {
  const logged: Array<string> = []
  const read = new Map<string, RoutedRequest>()
  const backend = yield* SimulatedOllamaServer.make({
    models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral, SimulatedFleet.Model.embedder],
    parallelism: 8,
    decodeRate: 500,
    callsMax: 100_000,
  })
  const log = Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel === "Error" || logLevel === "Fatal") logged.push(`log: ${String(message)}`)
  })])
  const services = Standard.layer({ guards: [recorder(read)] }).pipe(
    Layer.provideMerge(Layer.mergeAll(
      NodeTransport.layer(),
      HttpOllamaApi.layer().pipe(Layer.provide(NodeHttpClient.layerUndici)),
      StaticFleet.layer([{ url: backend.url, id: "a", parallelism: 8 }]),
    )),
  )
  const stack = NodeServer.layer(OllamaApp.layer(), { port: 0, ...limits }).pipe(Layer.provideMerge(services))
  const context = yield* Layer.build(Layer.provideMerge(stack, log))
  const server = Context.get(context, NodeServer.NodeServer)
  const isIdle = () => server.active() === 0 && backend.server.calls.every(({ state }) => state !== "running")
  /** Whether it becomes true in time. */
  const becomes = async (holds: () => boolean | Promise<boolean>) => {
    for (const until = Date.now() + patience.millis; !await holds();) {
      if (Date.now() > until) return false
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    return true
  }
  const works = async () => {
    const { bytes, closed } = await send(server.port, good, patience.millis)
    return answersIn(bytes, closed)[0]?.status === 200
  }
  let count = 0
  const nextId = () => `f${String(++count).padStart(9, "0")}`

  const check = async (clients: ReadonlyArray<Client>) => {
    const sent = clients.map((client) => client.sent(nextId))
    const received = await Promise.all(sent.map((one) => send(server.port, one, patience.millis)))
    const faults = sent.flatMap((one, i) => answerFaults(one, received[i]!))
    for (const one of sent) tally.requests += one.requests.length
    for (const { bytes, closed } of received) {
      tally.succeeded += answersIn(bytes, closed).filter(({ status }) => status === 200).length
    }
    if (!await becomes(isIdle)) faults.push(`${server.active()} requests do not end`)
    // Not at once: the server may still read from a client that has gone.
    if (!await becomes(works)) faults.push("bytes of bodies are held for ever")
    if (!await becomes(isIdle)) faults.push("a good request does not end")
    const left = await Effect.runPromise(Effect.provide(held, context))
    if (JSON.stringify(left) !== JSON.stringify(nothing)) faults.push(`left over: ${JSON.stringify(left)}`)
    const requests = new Map(sent.flatMap((one) => one.requests).map((one: Request) => [one.id, one]))
    for (const call of backend.server.calls) {
      const id = idOf(call) ?? ""
      const plain = requests.get(id)?.plain
      if (plain !== undefined) tally.compared++
      if (call.state === "aborted") tally.aborted++
      faults.push(...callFaults(call, read.get(id), plain))
    }
    faults.push(...logged)
    backend.server.calls.length = 0
    logged.length = 0
    read.clear()
    return faults
  }
  // Until the backend was probed, there is none.
  if (!(yield* Effect.promise(() => becomes(works)))) return yield* Effect.die("the world does not come up")
  backend.server.calls.length = 0
  return { check } satisfies World
})
