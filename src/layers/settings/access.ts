/**
 * Settings: who may use the router, with which names of models, and what is logged.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Structured from "./structured.ts"
import type { Access, Pulls, Requests, Table } from "./values.ts"
import { variable } from "./variable.ts"

/** @internal */
export const access: Table<Access> = {
  origins: variable(
    "LLAMERO_ORIGINS",
    "Origins of web pages and browser extensions to let in, besides those that Ollama lets in",
    Kinds.wordsThat(
      "origins with commas between, such as https://chat.example,http://*.lan:*, or * for all",
      (word) => word.includes("*") || /^[a-z][\w+.-]*:\/\/\S+$/i.test(word),
    ),
    "",
    [],
  ),
  hosts: variable(
    "LLAMERO_HOSTS",
    "Host names by which clients may call a server on loopback or a web handler, besides those that Ollama takes",
    Kinds.wordsThat(
      "host names with commas between, such as gpu.example, or * for all",
      (word) => /^(\*|[\w.:[\]-]+)$/.test(word),
    ),
    "",
    [],
  ),
  keysFile: variable("LLAMERO_KEYS_FILE", "File of API keys; with it, every client needs a key", Kinds.path, "", ""),
  keysOpen: variable(
    "LLAMERO_KEYS_OPEN",
    "Paths that need no key",
    Kinds.wordsThat("paths with commas between, such as /livez,/metrics", (word) => /^\/\S*$/.test(word)),
    "/livez,/readyz,/admin/*,/ui,/ui/*",
  ),
  localPort: variable(
    "LLAMERO_LOCAL_PORT",
    "Port of a second listener on 127.0.0.1, for clients on this machine that cannot send a key, such as ollama",
    Kinds.between(1, 65_535),
    "",
    0,
  ),
  localKey: variable(
    "LLAMERO_LOCAL_KEY",
    "Id of the key in LLAMERO_KEYS_FILE that clients of LLAMERO_LOCAL_PORT have without sending it",
    Kinds.label,
    "",
  ),
  rateLimit: variable(
    "LLAMERO_RATE_LIMIT",
    "Limits for each key that has none of its own, or for each tenant, such as requests=60,tokens=20000,concurrent=4",
    Structured.limits,
    "",
    {},
  ),
  aliases: variable(
    "LLAMERO_ALIASES",
    "Other names for models, and models to fall back on, such as gpt-4o=llama3.1:8b",
    Structured.aliases,
    "",
    {},
  ),
}

/** `isPattern` says whether a text names models that may be pulled. @internal */
export const pulls = (isPattern: (text: string) => boolean): Table<Pulls> => ({
  pulls: variable(
    "LLAMERO_PULLS",
    "Models that clients may pull, on all backends, such as llama3.1:8b,qwen3*",
    Kinds.wordsThat(
      "names of models with commas between, or beginnings with a * behind, such as llama3.1:8b,qwen3*,hf.co/someone/*",
      isPattern,
    ),
    "",
    [],
  ),
})

/** @internal */
export const requests: Table<Requests> = {
  contextGuard: variable(
    "LLAMERO_CONTEXT_GUARD",
    "Whether prompts that cannot fit the context are refused",
    Kinds.onOff,
    "on",
  ),
  logLevel: variable("LLAMERO_LOG_LEVEL", "How much is logged", Structured.level, "Info"),
  logFormat: variable(
    "LLAMERO_LOG_FORMAT",
    "json or pretty, a line for each event; when it is not set: pretty on a terminal, else json",
    Kinds.oneOf(["", "pretty", "json"]),
    "",
  ),
}
