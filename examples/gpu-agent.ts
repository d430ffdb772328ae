/**
 * The GPU agent. It runs on the machine of an Ollama server, and reports the GPUs of this machine to a router on
 * another machine.
 *
 * Run `LLAMERO_AGENT_TOKEN=… node examples/gpu-agent.ts`. The router reads the agent with `HttpGpuProbe.layer({ url,
 * token })`. The agent listens on `LLAMERO_AGENT_HOST` and `LLAMERO_AGENT_PORT`, by default 0.0.0.0:11436.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Config, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import process from "node:process"
import * as GpuAgentRoutes from "../src/layers/routes/GpuAgentRoutes.ts"
import * as NodeMain from "../src/layers/server/NodeMain.ts"
import * as Settings from "../src/layers/Settings.ts"
import { localProbe } from "../src/command/serve/gpus.ts"

const main = Effect.gen(function* () {
  const { host, library, port, token } = yield* Settings.agentFromEnv(process.env)
  if (token === "") {
    return yield* Effect.fail({ message: "set LLAMERO_AGENT_TOKEN: without a token the agent does not start" })
  }
  const agent = HttpRouter.serve(GpuAgentRoutes.layer({ token: Redacted.make(token) }), { disableLogger: true }).pipe(
    HttpServer.withLogAddress,
    Layer.provide(localProbe(library)),
    Layer.provide(NodeHttpServer.layer(createServer, { host, port })),
  )
  return yield* Layer.launch(agent)
})

NodeMain.runMain(main, {
  why: (error) =>
    error instanceof Config.ConfigError
      ? Settings.explain(error)
      : NodeMain.explain(error, { host: "LLAMERO_AGENT_HOST", port: "LLAMERO_AGENT_PORT" }),
})
