/**
 * Settings: which models are in memory, and who decides it.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import type { Memory, Table } from "./values.ts"
import { variable } from "./variable.ts"

const models = Kinds.wordsThat(
  "names of models with commas between, such as llama3.1:8b,mistral:7b",
  (word) => /^[^\s"';]+$/.test(word),
)

/** @internal */
export const memory: Table<Memory> = {
  prewarm: variable("LLAMERO_PREWARM", "Models to load before the router is ready", models, "", []),
  pinned: variable(
    "LLAMERO_PINNED",
    "Models to keep in memory; the router is ready when they are loaded",
    models,
    "",
    [],
  ),
  vram: variable(
    "LLAMERO_VRAM",
    "Whether llamero decides which models fit into GPU memory and are unloaded, if it can read the devices",
    Kinds.onOff,
    "off",
  ),
  vramReserve: variable(
    "LLAMERO_VRAM_RESERVE",
    "Memory to keep free on each device, with LLAMERO_VRAM",
    Kinds.size,
    "2GiB",
  ),
  footprintsFile: variable(
    "LLAMERO_FOOTPRINTS",
    "A JSON file with the memory that models take; it replaces the estimates",
    Kinds.path,
    "",
  ),
  agents: variable(
    "LLAMERO_AGENTS",
    "GPU agents on other machines, one for each host of backends, such as http://10.0.0.4:11436",
    Kinds.agents,
    "",
  ),
  agentToken: variable("LLAMERO_AGENT_TOKEN", "The token of the GPU agents", Kinds.secret, ""),
  nvmlLibrary: variable(
    "LLAMERO_NVML_LIBRARY",
    "Path of NVIDIA's library, if the system does not find it",
    Kinds.path,
    "",
  ),
  requiredModels: variable(
    "LLAMERO_REQUIRED_MODELS",
    "Models that the router needs to be ready: each on the disk of a healthy backend",
    models,
    "",
    [],
  ),
}
