/**
 * The flags of `llamero doctor`.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { type Command, Flag } from "effect/cli"
import { variables } from "../../layers/Settings.ts"
import * as GoDuration from "../../wire/goDuration.ts"

const repeated = (name: string, description: string, metavar: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.atLeast(0))

const duration = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(GoDuration.millis(text)),
      () => "a duration, such as 500ms, 30s or 5m",
    ),
    Flag.withDescription(description),
    Flag.withMetavar("duration"),
    Flag.optional,
  )

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

/** What the command takes. */
export const flags = {
  config: Flag.String("config").pipe(
    Flag.withDescription("A file with settings of the router, as for llamero serve"),
    Flag.withMetavar("file"),
    Flag.optional,
  ),
  backends: Flag.String("backend").pipe(
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(variables.ollamaHost.parse(text)),
      () => variables.ollamaHost.wanted,
    ),
    Flag.withDescription("An Ollama to look at, instead of those of the settings; may be repeated"),
    Flag.withMetavar("url"),
    Flag.atLeast(0),
  ),
  models: repeated("model", "A model that every backend must have; may be repeated", "name"),
  url: Flag.String("url").pipe(
    Flag.filter(
      (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
      () => "a URL, such as http://127.0.0.1:11435",
    ),
    Flag.withDescription("The address of a running router, to ask what it has learned"),
    Flag.withMetavar("url"),
    Flag.optional,
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("The admin token of that router; LLAMERO_ADMIN_TOKEN when it is not given"),
    Flag.optional,
  ),
  // Not only a plain file: also a pipe, such as /dev/stdin.
  ollamaEnv: Flag.Path("ollama-env", { pathType: "either", mustExist: true }).pipe(
    Flag.withDescription("A file with the environment variables of Ollama: NAME=value lines, or its systemd unit"),
    Flag.optional,
  ),
  clientTimeout: duration("client-timeout", "How long your clients wait for an answer"),
  proxyTimeout: duration("proxy-timeout", "How long the proxy in front waits for the next byte"),
  timeout: duration("timeout", "Longest wait for each question; 5s when it is not given"),
  strict: flag("strict", "Warnings count as errors for the exit status, too"),
  json: flag("json", "Print the report as JSON"),
}

/** Their values. */
export type Input = Command.Command.Config.Infer<typeof flags>
