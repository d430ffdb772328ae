/**
 * The commands that read a router and change nothing.
 *
 * @since 0.1.0
 */
import { Command, Flag } from "effect/cli"
import * as Flags from "../flags.ts"
import { lazily } from "../lazily.ts"

const models = Command.make(
  "models",
  Flags.asking,
  lazily(() => import("./models.ts"), ({ run }) => run),
).pipe(
  Command.withDescription("List the models of the fleet: on which disks they are, and in which memory"),
  Command.withExamples([
    { command: "llamero models" },
    {
      command: "llamero models --json | jq -r '.models[] | select(.loaded == []) | .model'",
      description: "The models that are in no memory",
    },
  ]),
)

const ps = Command.make("ps", Flags.asking, lazily(() => import("./ps.ts"), ({ run }) => run)).pipe(
  Command.withDescription("List the models in memory: by backend and device, with size, streams, expiry and pins"),
  Command.withExamples([{ command: "llamero ps" }]),
)

const backends = Command.make(
  "backends",
  Flags.asking,
  lazily(() => import("./backends.ts"), ({ run }) => run),
).pipe(
  Command.withDescription("List the backends: health, breaker, drained or isolated, streams, free memory"),
  Command.withExamples([
    { command: "llamero backends --url http://router:11435" },
    { command: "llamero backends --json | jq -r '.backends[].id'" },
  ]),
)

const queues = Command.make("queues", Flags.asking, lazily(() => import("./queues.ts"), ({ run }) => run)).pipe(
  Command.withDescription("List the queues that are not empty: how many wait, how long, and whose requests they are"),
  Command.withExamples([{ command: "llamero queues" }]),
)

const decisions = Command.make("decisions", {
  ...Flags.asking,
  last: Flags.last("requests"),
  why: Flag.String("why").pipe(
    Flag.withMetavar("ID"),
    Flag.withDescription("Say in words what happened to one request: why there, why slow, why refused"),
    Flag.optional,
  ),
}, lazily(() => import("./decisions.ts"), ({ run }) => run)).pipe(
  Command.withShortDescription("List the last requests, or say why one went where it went"),
  Command.withDescription(
    "List the last requests, or say why one went where it went. The router needs LLAMERO_DECISIONS for it.",
  ),
  Command.withExamples([
    { command: "llamero decisions -n 50" },
    { command: "llamero decisions --why my-request", description: "The X-Request-Id of the answer names a request" },
  ]),
)

const changes = Command.make(
  "changes",
  { ...Flags.asking, last: Flags.last("changes") },
  lazily(() => import("./changes.ts"), ({ run }) => run),
).pipe(
  Command.withDescription("List what operators have changed: who, what, and what came of it"),
  Command.withExamples([{ command: "llamero changes" }]),
)

/** @category commands @since 0.1.0 */
export const reading = [models, ps, backends, queues, decisions, changes] as const
