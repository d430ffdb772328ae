/**
 * The smallest possible undici proxy: it collects the body, and its dispatch callbacks write to the socket. `node
 * undici.ts PORT UPSTREAM_PORT`
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type Dispatcher, Pool } from "undici"

const [port, upstream] = process.argv.slice(2).map(Number)
const pool = new Pool(`http://127.0.0.1:${upstream}`, { keepAliveTimeout: 60_000 })

/** Headers about one connection are not passed on, because each side of a proxy has its own connection. */
const hopByHop = new Set(["connection", "keep-alive", "transfer-encoding", "expect", "upgrade"])

const endToEnd = (raw: ReadonlyArray<string | Buffer>) => {
  const kept: Array<string> = []
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toString()
    if (!hopByHop.has(name.toLowerCase())) kept.push(name, raw[at + 1]!.toString())
  }
  return kept
}

const relay = (incoming: IncomingMessage, reply: ServerResponse, body: Buffer | null) => {
  let upstreamSide: Dispatcher.DispatchController | undefined
  reply.on("drain", () => upstreamSide?.resume())
  reply.on("close", () => reply.writableFinished || upstreamSide?.abort(new Error("the client left")))
  pool.dispatch({
    method: incoming.method as Dispatcher.HttpMethod,
    path: incoming.url!,
    headers: endToEnd(incoming.rawHeaders),
    body,
  }, {
    onRequestStart(controller) {
      upstreamSide = controller
    },
    onResponseStart(controller, status) {
      reply.writeHead(status, endToEnd(controller.rawHeaders as Array<Buffer>))
    },
    onResponseData(controller, chunk) {
      if (!reply.write(chunk)) controller.pause()
    },
    onResponseEnd() {
      reply.end()
    },
    onResponseError() {
      reply.destroy()
    },
  })
}

// As long as llamero keeps idle connections. The default closes them after 5 s.
createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (incoming, reply) => {
  const parts: Array<Buffer> = []
  incoming.on("data", (part: Buffer) => parts.push(part))
  incoming.on("end", () => relay(incoming, reply, parts.length > 0 ? Buffer.concat(parts) : null))
}).listen({ port, host: "127.0.0.1", backlog: 4096 })
