/**
 * The commands that change backends, the models in their memory, or the router itself.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import * as Flags from "../flags.ts"
import { lazily } from "../lazily.ts"

const backend = Argument.String("backend").pipe(
  Argument.withDescription("The id of a backend, as `llamero backends` lists it"),
)
const model = Argument.String("model").pipe(
  Argument.withDescription("The name of a model, as `llamero models` lists it"),
)

const ofBackend = { ...Flags.asking, backend }
const ofModel = { ...ofBackend, model }

const change = () => import("./change.ts")
const router = () => import("./router.ts")

const drain = Command.make("drain", {
  ...ofBackend,
  wait: Flags.duration(
    "wait",
    "Wait until no request is under way there, at most so long; exit status 1 if some still are",
  ).pipe(Flag.optional),
}, lazily(change, ({ drain }) => drain)).pipe(
  Command.withDescription("Give a backend no new requests; those under way there go on"),
  Command.withExamples([
    { command: "llamero drain gpu-1" },
    { command: "llamero drain gpu-1 --wait 5m && ssh gpu-1 systemctl restart ollama" },
  ]),
)

const undrain = Command.make("undrain", ofBackend, lazily(change, ({ state }) => state("undrain"))).pipe(
  Command.withDescription("Give a backend that was drained or isolated new requests again"),
  Command.withExamples([{ command: "llamero undrain gpu-1" }]),
)

const isolate = Command.make("isolate", ofBackend, lazily(change, ({ state }) => state("isolate"))).pipe(
  Command.withDescription("Hold a backend out of everything: as drain, and lists of models do not ask it"),
  Command.withExamples([{ command: "llamero isolate gpu-1" }]),
)

const load = Command.make("load", {
  ...ofModel,
  context: Flag.Int("context").pipe(
    Flag.withMetavar("TOKENS"),
    Flag.withDescription("Load it with a context of so many tokens"),
    Flag.filter((tokens) => tokens >= 1, () => "a whole number of at least 1"),
    Flag.optional,
  ),
  noEvict: Flags.toggle("no-evict", "Unload no idle model for it"),
  wait: Flags.toggle("wait", "Wait until it is in memory, at most 5 minutes"),
}, lazily(change, ({ load }) => load)).pipe(
  Command.withDescription("Load a model into the memory of a backend"),
  Command.withExamples([
    { command: "llamero load gpu-1 llama3.1:8b --wait" },
    { command: "llamero load gpu-1 qwen3:32b --context 32768 --no-evict" },
  ]),
)

const unload = Command.make("unload", ofModel, lazily(change, ({ model }) => model("unload"))).pipe(
  Command.withDescription("Unload a model that is idle and not pinned"),
  Command.withExamples([{ command: "llamero unload gpu-1 llama3.1:8b" }]),
)

const pin = Command.make("pin", ofModel, lazily(change, ({ model }) => model("pin"))).pipe(
  Command.withDescription("Keep a model from being unloaded, whether it is in memory now or later"),
  Command.withExamples([{ command: "llamero pin gpu-1 llama3.1:8b" }]),
)

const unpin = Command.make("unpin", ofModel, lazily(change, ({ model }) => model("unpin"))).pipe(
  Command.withDescription("End a pin"),
  Command.withExamples([{ command: "llamero unpin gpu-1 llama3.1:8b" }]),
)

const prewarm = Command.make(
  "prewarm",
  {
    ...Flags.asking,
    backend: Argument.optional(backend),
    model: Argument.optional(model),
  },
  ({ backend, model, ...asking }) =>
    Option.isSome(backend) && Option.isSome(model)
      ? lazily(change, (module) => module.model("prewarm"))({ ...asking, backend: backend.value, model: model.value })
      : lazily(router, (module) => module.prewarm)(asking),
).pipe(
  Command.validate(({ backend, model }) =>
    Option.isSome(backend) && Option.isNone(model)
      ? Effect.fail(new CliError.ValidationError({ message: "name a model behind the backend" }))
      : Effect.void
  ),
  Command.withShortDescription("Load a model into free memory only, or list what plans want in memory"),
  Command.withDescription(
    "Load a model into free memory only: it unloads nothing, and waits for no other load. Without a backend, list the " +
      "models that plans want in memory, and the state of each.",
  ),
  Command.withExamples([
    { command: "llamero prewarm", description: "What plans want in memory" },
    { command: "llamero prewarm gpu-1 llama3.1:8b" },
  ]),
)

const reload = Command.make("reload", Flags.asking, lazily(router, ({ reload }) => reload)).pipe(
  Command.withShortDescription("Read the fleet and the API keys again now"),
  Command.withDescription(
    "Read the fleet and the API keys again now, then health, models, devices and memory of all backends.",
  ),
  Command.withExamples([{ command: "llamero reload" }]),
)

const levels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const

const log = Command.make("log", {
  ...Flags.asking,
  level: Flag.ChoiceWithValue("level", levels.map((level) => [level.toLowerCase(), level] as const)).pipe(
    Flag.withDescription("The least level of events that get a line"),
    Flag.optional,
  ),
  sample: Flag.Finite("sample").pipe(
    Flag.withMetavar("SHARE"),
    Flag.withDescription("The share of requests without an error that get a line, from 0 to 1"),
    Flag.filter((share) => share >= 0 && share <= 1, () => "a number from 0 to 1"),
    Flag.optional,
  ),
}, lazily(router, ({ log }) => log)).pipe(
  Command.withDescription("Show what gets a line in the log of the router, or change it until the router ends"),
  Command.withExamples([{ command: "llamero log" }, { command: "llamero log --level debug --sample 0.01" }]),
)

/** @category commands @since 0.1.0 */
export const changing = [drain, undrain, isolate, load, unload, pin, unpin, prewarm, reload, log] as const
