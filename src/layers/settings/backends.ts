/**
 * Settings: which backends exist, where the router listens, and how a request is placed.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Structured from "./structured.ts"
import type { Backends, Listening, Placing, Streams, Table } from "./values.ts"
import { variable } from "./variable.ts"

/** @internal */
export const backends: Table<Backends> = {
  backends: variable("LLAMERO_BACKENDS", "The Ollama servers to route to", Kinds.ollamaHosts, "", []),
  fleetFile: variable(
    "LLAMERO_FLEET_FILE",
    "A JSON file with the backends, read again when it changes; instead of LLAMERO_BACKENDS",
    Kinds.path,
    "",
  ),
  fleetMillis: variable(
    "LLAMERO_FLEET_INTERVAL",
    "Time between two looks at the files of the fleet and of the keys",
    Kinds.duration,
    "1s",
  ),
  ollamaHost: variable(
    "OLLAMA_HOST",
    "The one Ollama server to route to; used when no other setting names backends",
    Kinds.ollamaHost,
    "",
    "",
  ),
  caFile: variable(
    "LLAMERO_CA_FILE",
    "PEM file of authorities that certificates of backends and GPU agents may be signed by, besides the usual ones",
    Kinds.path,
    "",
  ),
  plugins: variable("LLAMERO_PLUGINS", "Plugin files to load, in this order", Structured.plugins, ""),
}

/** @internal */
export const listening: Table<Listening> = {
  host: variable("LLAMERO_HOST", "Address to listen on; 0.0.0.0 lets other machines in", Kinds.address, "127.0.0.1"),
  port: {
    ...variable("LLAMERO_PORT", "Port to listen on; PORT counts when it is not set", Kinds.port, "11435"),
    also: "PORT",
  },
  configFile: variable(
    "LLAMERO_CONFIG",
    "A JSON or YAML file with settings; when it is not set: llamero.json, llamero.yaml or llamero.yml, if there is one",
    Kinds.path,
    "",
  ),
  ignored: variable(
    "LLAMERO_IGNORE",
    "Names that begin with LLAMERO_ and belong to other programs; a * at the end stands for any text",
    Kinds.words("names with commas between"),
    "",
    [],
  ),
}

/** @internal */
export const streams: Table<Streams> = {
  parallelism: variable(
    "LLAMERO_PARALLELISM",
    "Streams of one model on one backend at first; with LLAMERO_ADAPTIVE_CONCURRENCY off, for ever",
    Kinds.atLeast(1),
    "1",
  ),
  streamsPerBackend: variable(
    "LLAMERO_STREAMS_PER_BACKEND",
    "Most streams of one backend over all of its models, and of one GPU over all backends that use it",
    Kinds.atLeast(1),
    "32",
  ),
  adaptive: variable(
    "LLAMERO_ADAPTIVE_CONCURRENCY",
    "Whether the router finds how many streams of a model its backend serves at the same time (OLLAMA_NUM_PARALLEL)",
    Kinds.onOff,
    "on",
  ),
}

/** @internal */
export const placing: Table<Placing> = {
  scorers: variable(
    "LLAMERO_SCORERS",
    `Scorers that rate backends, with their weights: ${Structured.scorerNames.join(", ")}`,
    Structured.scorers,
    "resident=3,least-busy=1,free-memory=0.5,load-time=0.5",
  ),
  picker: variable(
    "LLAMERO_PICKER",
    "How a backend is chosen by its score: max-score, two-choices or weighted-random",
    Kinds.oneOf(["max-score", "two-choices", "weighted-random"]),
    "max-score",
  ),
  zone: variable(
    "LLAMERO_ZONE",
    "The router's own zone: the scorer zone prefers backends that have it as their label zone",
    Kinds.label,
    "",
  ),
  sessionHeader: variable(
    "LLAMERO_SESSION_HEADER",
    "Header that names a session, for the scorer session-affinity",
    Kinds.header,
    "x-session-id",
  ),
}
