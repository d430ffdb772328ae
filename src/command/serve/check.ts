/** `llamero serve --check`: everything that is wrong with a configuration, and what each backend answers. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Duration, Effect, Runtime, Schema } from "effect"
import type { Flaw } from "../../layers/Settings.ts"
import * as Fleet from "../../services/Fleet.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import * as Configuration from "./configuration.ts"
import { reach as nodeReach } from "./node.ts"
import * as Place from "./place.ts"

/** What one backend answers. */
export interface Answer {
  readonly id: string
  readonly url: string
  readonly millis: number
  /** The version of its Ollama. */
  readonly version?: string
  /** Why there is none. */
  readonly error?: string
}

/** Everything that was found. */
export interface Report {
  readonly ok: boolean
  /** The files that were read. */
  readonly files: ReadonlyArray<string>
  readonly flaws: ReadonlyArray<Flaw>
  /** The fleet in words; `undefined` where it is not known. */
  readonly routing: string | undefined
  readonly simulated: boolean
  readonly backends: ReadonlyArray<Answer>
}

/** How long one backend may take. */
const patience = Duration.seconds(5)

const ask = Effect.fnUntraced(function* (backend: Fleet.Backend): Effect.fn.Return<Answer, never, OllamaApi> {
  const call = Effect.timeoutOrElse(OllamaApi.use((api) => api.version(backend)), {
    duration: patience,
    orElse: () => Effect.fail(new Error(`no answer in ${Duration.toSeconds(patience)} seconds`)),
  })
  const [took, answer] = yield* Effect.timed(Effect.result(call))
  const { id, url } = backend
  const rest = { id, url, millis: Math.round(Duration.toMillis(took)) }
  return answer._tag === "Success" ? { ...rest, version: answer.success } : { ...rest, error: answer.failure.message }
})

const askAll = Effect.flatMap(
  Fleet.Fleet,
  (fleet) => Effect.forEach(fleet.members(), ({ backend }) => ask(backend), { concurrency: 16 }),
)

const unknownFleet = { routing: undefined, simulated: false, backends: [], flaws: [] }

/** The answers of all backends; none where it is not known which backends there are. */
const asked = Effect.fnUntraced(function* ({ flaws, named, settings }: Configuration.Look, demo: boolean) {
  const isNamed = settings.backends.length > 0 || settings.fleetFile !== "" || settings.ollamaHost !== ""
  if (flaws.length > 0 && !isNamed && !demo) return unknownFleet
  // A file of authorities that cannot be read is a flaw already. Devices are not asked.
  const isTrusting = !flaws.some(({ message }) => message.includes(settings.caFile))
  const reach = nodeReach({ ...settings, caFile: isTrusting ? settings.caFile : "" })
  const place = yield* Place.choose({ ...settings, vram: false }, reach, { named, demo })
  const backends = yield* Effect.provide(askAll, place.layer)
  return { routing: place.says, simulated: place.simulated, backends, flaws: [] }
}, (effect) =>
  Effect.catchTags(effect, {
    NoBackends: ({ message }) => Effect.succeed({ ...unknownFleet, flaws: [{ message }] }),
    // Such a fleet is a flaw already.
    FleetError: () => Effect.succeed(unknownFleet),
  }))

/** Looks at everything. */
export const report = Effect.fnUntraced(function* (given: Configuration.Given): Effect.fn.Return<Report> {
  const looked = yield* Effect.provide(Configuration.look(given), NodeFileSystem.layer)
  const { backends, flaws: others, routing, simulated } = yield* asked(looked, given.demo)
  const flaws = [...looked.flaws, ...others]
  const ok = flaws.length === 0 && backends.every(({ error }) => error === undefined)
  return { ok, files: looked.files, flaws, routing, simulated, backends }
})

const answerLine = ({ error, id, millis, url, version }: Answer): string =>
  `  ${id === url ? url : `${id} (${url})`}: ${error ?? `Ollama ${version}, ${millis} ms`}`

/** The report in lines for people. */
export const lines = ({ backends, files, flaws, ok, routing }: Report): ReadonlyArray<string> => {
  const silent = backends.filter(({ error }) => error !== undefined).length
  const wrong = [
    ...flaws.length === 0 ? [] : [`${flaws.length} ${flaws.length === 1 ? "setting is" : "settings are"} wrong`],
    ...silent === 0 ? [] : [`${silent} of ${backends.length} backends do not answer`],
  ]
  return [
    `llamero: ${ok ? "all right" : wrong.join(", ")}${files.length === 0 ? "" : `; read ${files.join(", ")}`}`,
    ...flaws.map(({ message }) => `  ${message}`),
    ...routing === undefined ? [] : [routing],
    ...backends.map(answerLine),
  ]
}

/** The report is printed already. */
export class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", {}) {
  override readonly [Runtime.errorReported] = false
  override get message(): string {
    return "the configuration is wrong"
  }
}

/** Prints the report. Fails when something is wrong. */
export const run = Effect.fnUntraced(function* (given: Configuration.Given, json: boolean) {
  const found = yield* report(given)
  console.log(json ? JSON.stringify(found, undefined, 2) : lines(found).join("\n"))
  if (!found.ok) return yield* new CheckFailed()
})
