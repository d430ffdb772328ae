/**
 * The GPU agent. It runs on the machine of an Ollama server, and reports the GPUs of this machine to a router on
 * another machine.
 *
 * Run `LLAMERO_AGENT_TOKEN=… node examples/gpu-agent.ts`. The router reads the agent with `HttpGpuProbe.layer({ url,
 * token })`. The agent listens on `LLAMERO_AGENT_HOST` and `LLAMERO_AGENT_PORT`, by default 0.0.0.0:11436.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Config, ConfigProvider, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as GpuAgentRoutes from "../src/layers/routes/GpuAgentRoutes.ts"
import { localProbe } from "./support/gpus.ts"
import { runMain } from "./support/main.ts"

const settings = Config.all({
  token: Config.Redacted("LLAMERO_AGENT_TOKEN").pipe(Config.withDefault(Redacted.make(""))),
  host: Config.String("LLAMERO_AGENT_HOST").pipe(Config.withDefault("0.0.0.0")),
  port: Config.Int("LLAMERO_AGENT_PORT").pipe(Config.withDefault(11436)),
  library: Config.String("LLAMERO_NVML_LIBRARY").pipe(Config.withDefault("")),
})

const main = Effect.gen(function* () {
  const { host, library, port, token } = yield* settings
  if (Redacted.value(token) === "") {
    return yield* Effect.fail({ message: "set LLAMERO_AGENT_TOKEN: without a token the agent does not start" })
  }
  const agent = HttpRouter.serve(GpuAgentRoutes.layer({ token }), { disableLogger: true }).pipe(
    HttpServer.withLogAddress,
    Layer.provide(localProbe(library)),
    Layer.provide(NodeHttpServer.layer(createServer, { host, port })),
  )
  return yield* Layer.launch(agent)
}).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv()))

runMain(main, (error) => error.message)
