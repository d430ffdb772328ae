/**
 * Settings of the GPU agent, which runs beside an Ollama server.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Memory from "./memory.ts"
import type { AgentSettings, Table } from "./values.ts"
import { variable } from "./variable.ts"

/** @internal */
export const agent: Table<AgentSettings> = {
  token: Memory.memory.agentToken,
  host: variable("LLAMERO_AGENT_HOST", "Address that the GPU agent listens on", Kinds.address, "0.0.0.0"),
  port: variable("LLAMERO_AGENT_PORT", "Port that the GPU agent listens on", Kinds.port, "11436"),
  library: Memory.memory.nvmlLibrary,
}
