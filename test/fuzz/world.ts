/** The real server on a socket, and the simulated Ollama behind it. Sends requests and judges answers. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer, Logger, Result } from "effect"
import { connect } from "node:net"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as OllamaApp from "../../src/layers/OllamaApp.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import * as Standard from "../../src/layers/Standard.ts"
import * as HttpOllamaApi from "../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import * as ModelName from "../../src/services/ModelName.ts"
import type { Guard } from "../../src/services/Plugin.ts"
import { decode } from "../../src/simulated/go/decode.ts"
import { form } from "../../src/simulated/go/form.ts"
import type { CallRecord } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { held, nothing } from "../../src/testing/routers.ts"
import { until } from "../../src/testing/sinks.ts"
import { random } from "../wire/support.ts"
import { answersIn, shapeFault } from "./answers.ts"
import { type Case, noise, request } from "./requests.ts"

const limits = { bodyBytesMax: 64 * 1024, heldBytesMax: 200 * 1024 }

/** Remembers the model that the router read, by the id of the request. */
const recorder = (read: Map<string, string>): Guard => ({
  kind: "guard",
  name: "recorder",
  check: (request) => {
    read.set(request.id, request.envelope.model)
    return { _tag: "Pass", request }
  },
})

const struct = { name: "Request", fields: { model: "string" } } as const
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

/** The model that Ollama reads from a call; `undefined` where it refuses the body. */
const readByOllama = ({ body = new Uint8Array(0), headers, path }: CallRecord): string | undefined => {
  if (path.startsWith("/v1/audio")) {
    const type = headers[headers.findIndex((name) => name.toLowerCase() === "content-type") + 1]
    const read = form(body, type ?? "")
    return Result.isFailure(read) ? undefined : read.success.values.get("model") ?? ""
  }
  const read = decode(struct, utf8.decode(body))
  return Result.isFailure(read) ? undefined : (read.success["model"] ?? "") as string
}

const idOf = ({ headers }: CallRecord): string | undefined => {
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "x-request-id")
  return at < 0 ? undefined : headers[at + 1]
}

/** Sends the bytes in pieces, and gives what came back. */
const send = (port: number, { bytes, isWhole, leaves }: Case, pieces: ReadonlyArray<number>) =>
  new Promise<{ readonly received: Buffer; readonly closed: boolean }>((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const got: Array<Buffer> = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const done = (closed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ received: Buffer.concat(got), closed })
    }
    socket.on("data", (data: Buffer) => got.push(data))
    socket.on("error", () => {})
    socket.on("close", () => done(true))
    socket.on("connect", () => {
      let at = 0
      let piece = 0
      const end = leaves ?? bytes.length
      const step = () => {
        if (at < end) {
          const next = Math.min(end, at + pieces[piece++ % pieces.length]!)
          socket.write(bytes.subarray(at, next))
          at = next
          return setImmediate(step)
        }
        if (leaves !== undefined) return done(false)
        // What is not whole need not be answered. What is whole must be, long before this.
        timer = setTimeout(() => done(false), isWhole ? 20_000 : 30)
      }
      step()
    })
  })

/** Runs so many cases. Each fault is a text with the bytes that led to it. */
export const run = (seed: number, cases: number) =>
  Effect.gen(function* () {
    const faults: Array<string> = []
    const read = new Map<string, string>()
    const backend = yield* SimulatedOllamaServer.make({
      models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral, SimulatedFleet.Model.embedder],
      parallelism: 8,
      callsMax: 100_000,
    })
    const log = Logger.layer([Logger.make(({ logLevel, message }) => {
      if (logLevel === "Error" || logLevel === "Fatal") faults.push(`log: ${String(message)}`)
    })])
    const services = Standard.layer({ guards: [recorder(read)] }).pipe(
      Layer.provideMerge(Layer.mergeAll(
        NodeTransport.layer(),
        HttpOllamaApi.layer().pipe(Layer.provide(NodeHttpClient.layerUndici)),
        StaticFleet.layer([{ url: backend.url, id: "a", parallelism: 8 }]),
      )),
    )
    const stack = NodeServer.layer(OllamaApp.layer(), { port: 0, ...limits }).pipe(Layer.provideMerge(services))
    return yield* Effect.gen(function* () {
      const server = yield* NodeServer.NodeServer
      const rng = random(seed)
      let answers = 0
      const one = async (number: number) => {
        const made = rng.below(20) === 0 ? noise(rng) : request(rng, `f${seed}-${number}`)
        const pieces = Array.from({ length: 5 }, () => 1 + rng.below(rng.pick([3, 60, 5000, 200_000])))
        const { closed, received } = await send(server.port, made, pieces)
        const came = answersIn(received, closed)
        answers += came.length
        const shown = JSON.stringify(made.bytes.toString("latin1").slice(0, 1500))
        if (made.isWhole && came.length === 0) faults.push(`no answer: ${shown}`)
        for (const answer of came) {
          const fault = shapeFault(answer, !made.isWhole)
          if (fault !== undefined) {
            faults.push(`${fault}: ${shown} -> ${JSON.stringify(received.toString("latin1").slice(0, 600))}`)
          }
        }
      }
      const good = Buffer.from(
        `{"model":"llama3.1:8b","prompt":"${"x".repeat(50_000)}","stream":false,"options":{"num_predict":1}}`,
      )
      const head =
        `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${good.length}\r\n\r\n`
      const whole: Case = { bytes: Buffer.concat([Buffer.from(head), good]), isWhole: true, leaves: undefined }
      const batch = 50
      for (let number = 0; number < cases; number += batch) {
        // Several at a time, so that they meet in queues and in the bytes that are held.
        yield* Effect.promise(async () => {
          for (let i = 0; i < batch; i += 5) {
            await Promise.all(Array.from({ length: 5 }, (_, k) => one(number + i + k)))
          }
        })
        yield* until(() => server.active() === 0, "no request under way")
        yield* until(() => backend.server.calls.every(({ state }) => state !== "running"), "no call under way")
        const left = yield* held
        if (JSON.stringify(left) !== JSON.stringify(nothing)) faults.push(`left over: ${JSON.stringify(left)}`)
        // Three bodies fit into what may be held only if nothing else is.
        const after = yield* Effect.promise(() =>
          Promise.all([whole, whole, whole].map((one) => send(server.port, one, [200_000])))
        )
        for (const { closed, received } of after) {
          const [answer] = answersIn(received, closed)
          if (answer?.status !== 200) {
            faults.push(`a good request afterwards: ${received.toString("latin1").slice(0, 300)}`)
          }
        }
        for (const call of backend.server.calls) {
          const id = idOf(call)
          const model = id === undefined ? undefined : read.get(id)
          const got = readByOllama(call)
          if (model === undefined || got === undefined) continue
          if (ModelName.canonical(got) !== ModelName.canonical(model)) {
            faults.push(`the router read ${JSON.stringify(model)}, Ollama ${JSON.stringify(got)}`)
          }
        }
        backend.server.calls.length = 0
        read.clear()
      }
      return { faults, answers }
    }).pipe(Effect.provide(stack), Effect.provide(log))
  })
