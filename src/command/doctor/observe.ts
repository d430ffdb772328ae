/**
 * Gathers everything that the checks look at. Each question has a time limit, and what cannot be known stays unknown.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, type FileSystem } from "effect"
import type { HttpClient } from "effect/http"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Transport } from "../../services/Transport.ts"
import type { InFront, Observations, ObservedEnvironment, ObservedHost } from "./observations.ts"
import { observeBackends } from "./observe/backends.ts"
import * as Environments from "./observe/environments.ts"
import type { FleetList } from "./observe/fleet.ts"
import { footprints } from "./observe/footprints.ts"
import { agents } from "./observe/hosts.ts"
import { wantedModels } from "./observe/models.ts"
import { openFiles } from "./observe/openFiles.ts"
import { observeRouter } from "./observe/router.ts"

/** What to look at. */
export interface Questions {
  readonly settings: Observations["settings"]
  readonly fleet: FleetList
  /** Models that every backend must have, besides those of the settings. */
  readonly models: ReadonlyArray<string>
  /** The address of a running router; `undefined` for none. */
  readonly url: string | undefined
  /** Its admin token; empty for none. */
  readonly token: string
  /** A file with the environment variables of Ollama, and its text. Without it, processes of this machine are read. */
  readonly ollamaEnv: { readonly path: string; readonly text: string } | undefined
  /** The environment of this command. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly inFront: InFront
  /** The devices of this machine. */
  readonly local: Effect.Effect<ObservedHost, never, FileSystem.FileSystem>
  /** Folder that contains `/proc`; empty for the real root. */
  readonly root: string
  /** For each question. */
  readonly limit: Duration.Duration
}

/** Ollama's variables. Where they are not known, those of this command: both may come from one shell. */
const environments = ({ env, fleet: { backends }, ollamaEnv, root }: Questions) =>
  Effect.gen(function* () {
    const file: ReadonlyArray<ObservedEnvironment> = ollamaEnv === undefined ? [] : [{
      of: "ollama",
      from: ollamaEnv.path,
      backends: backends.map(({ id }) => id),
      values: Environments.parseFile(ollamaEnv.text),
    }]
    const found = ollamaEnv === undefined ? yield* Environments.fromProcesses(backends, root) : file
    const here: ObservedEnvironment = {
      of: "command",
      from: "the environment of this command",
      backends: [],
      values: Environments.relevant(env),
    }
    return found.length > 0 ? found : [here]
  })

/** Everything at the same time; then the memory that models would take, which depends on the rest. */
export const observe = (
  questions: Questions,
): Effect.Effect<Observations, never, FileSystem.FileSystem | HttpClient.HttpClient | OllamaApi | Transport> =>
  Effect.gen(function* () {
    const { fleet, inFront, limit, local, root, settings, token, url } = questions
    const seen = yield* Effect.all({
      backends: observeBackends(fleet.backends, limit),
      here: local,
      agents: agents(settings.values),
      environments: environments(questions),
      router: url === undefined ? Effect.succeed(undefined) : observeRouter(url, token, limit),
      openFiles: openFiles(root),
    }, { concurrency: "unbounded" })
    const observations: Observations = {
      settings,
      fleetFlaw: fleet.flaw,
      backends: seen.backends,
      hosts: [seen.here, ...seen.agents],
      environments: seen.environments,
      models: wantedModels(questions.models, settings.values),
      footprints: [],
      router: seen.router,
      openFiles: seen.openFiles,
      inFront,
    }
    return { ...observations, footprints: yield* footprints(observations, limit) }
  })
