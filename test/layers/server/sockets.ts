/** Backends on real sockets, with the behaviour that a test chooses. */
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { backend } from "../../../src/services/Fleet.ts"
import type { Behaviour, Driven } from "../../../src/testing/contracts/Transport.ts"

const record = (i: number, done = false) =>
  `{"model":"x","message":{"role":"assistant","content":"w${i}"},"done":${done}}\n`
const flood = Buffer.alloc(256 * 1024, "x")

const answer = (behaviour: Behaviour, response: ServerResponse, sent: (bytes: number) => void) => {
  switch (behaviour) {
    case "whole": {
      const body = record(0, true)
      response.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length }).end(body)
      return
    }
    case "reset":
      response.socket?.resetAndDestroy()
      return
    case "hang":
    case "refuse":
      return
    case "flood": {
      response.writeHead(200, { "Content-Type": "application/x-ndjson" })
      let left = 64
      const go = (): void => {
        while (left-- > 0) {
          sent(flood.length)
          if (!response.write(flood)) return void response.once("drain", go)
        }
        response.end()
      }
      go()
      return
    }
    case "stream":
    case "cut": {
      response.writeHead(200, { "Content-Type": "application/x-ndjson" })
      let i = 0
      const timer = setInterval(() => {
        if (i === 3) {
          clearInterval(timer)
          if (behaviour === "cut") response.socket?.resetAndDestroy()
          else response.end(record(3, true))
          return
        }
        response.write(record(i++))
      }, 5)
      response.on("close", () => clearInterval(timer))
    }
  }
}

const closedPort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
)

export const behave = (behaviour: Behaviour) =>
  Effect.gen(function* () {
    let aborted = 0
    let sent = 0
    let received: Uint8Array = new Uint8Array(0)
    const headers: Array<ReadonlyArray<string>> = []
    if (behaviour === "refuse") {
      const port = yield* closedPort
      const made: Driven = {
        backend: backend(`http://127.0.0.1:${port}`),
        aborted: () => 0,
        received: () => received,
        sent: () => 0,
      }
      return { ...made, headers }
    }
    const server = createServer((request: IncomingMessage, response: ServerResponse) => {
      const parts: Array<Buffer> = []
      headers.push(request.rawHeaders)
      response.on("close", () => {
        if (!response.writableFinished) aborted++
      })
      request.on("data", (part: Buffer) => parts.push(part))
      request.on("end", () => {
        received = Buffer.concat(parts)
        answer(behaviour, response, (bytes) => {
          sent += bytes
        })
      })
    })
    const port = yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
        })
      ),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        }),
    )
    const made: Driven = {
      backend: backend(`http://127.0.0.1:${port}`),
      aborted: () => aborted,
      received: () => received,
      sent: () => sent,
    }
    return { ...made, headers }
  })
