/**
 * The reference: the proxy that a Node developer writes by hand, with pipes and a keep-alive agent. `node http.ts PORT
 * UPSTREAM_PORT`
 */
import { Agent, createServer, request } from "node:http"

const [port, upstream] = process.argv.slice(2).map(Number)
// Agents set TCP_NODELAY themselves.
const agent = new Agent({ keepAlive: true, maxFreeSockets: 4096 })

// As long as llamero keeps idle connections. The default closes them after 5 s.
createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (incoming, reply) => {
  const call = request({
    agent,
    host: "127.0.0.1",
    port: upstream,
    method: incoming.method,
    path: incoming.url,
    headers: incoming.headers,
  }, (answer) => {
    reply.writeHead(answer.statusCode!, answer.rawHeaders)
    answer.pipe(reply)
  })
  call.on("error", () => reply.destroy())
  reply.on("close", () => reply.writableFinished || call.destroy())
  incoming.pipe(call)
}).listen({ port, host: "127.0.0.1", backlog: 4096 })
