/**
 * The simulated Ollama, `llamero/simulated`: servers with the scheduler, memory, errors and bytes of real ones, without
 * GPUs. For tests, demonstrations and planning.
 *
 * **Details**
 *
 * `SimulatedOllamaServer` serves one on a port and needs Node or Deno: import it as
 * `llamero/simulated/SimulatedOllamaServer`.
 *
 * @since 0.1.0
 */
export * as SimulatedFleet from "./SimulatedFleet.ts"
export * as SimulatedGpuProbe from "./SimulatedGpuProbe.ts"
export * as SimulatedModelFootprints from "./SimulatedModelFootprints.ts"
export * as SimulatedOllamaApi from "./SimulatedOllamaApi.ts"
export * as SimulatedTransport from "./SimulatedTransport.ts"
