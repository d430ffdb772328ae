/**
 * Reads settings from their variables, and checks the ones that depend on each other.
 *
 * @since 0.1.0
 */
import { Config, ConfigProvider, Effect } from "effect"
import type { ScorerName } from "./structured.ts"
import type { Variable } from "./variable.ts"

/** The value of each variable in a table. @internal */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Variable<infer A> ? A : never }

const wrong = (name: string, text: string, wanted: string): Config.ConfigError =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({ message: `${name}=${JSON.stringify(text)}: wants ${wanted}` }),
  )

/** A variable that is empty counts as not set: compose files and shells set many variables to nothing. */
const read = <A>({ fallback, name, parse, wanted }: Variable<A>): Config.Config<A> =>
  Config.mapEffect(Config.withDefault(Config.String(name), ""), (given): Effect.Effect<A, Config.ConfigError> => {
    const text = given.trim()
    if (text === "") return Effect.succeed(fallback)
    const value = parse(text)
    return value === undefined ? Effect.fail(wrong(name, text, wanted)) : Effect.succeed(value)
  })

/** All values of a table; the first one that cannot be read is the error. @internal */
export const all = <T extends Readonly<Record<string, Variable<unknown>>>>(variables: T): Config.Config<ValuesOf<T>> =>
  Config.all(
    Object.fromEntries(Object.entries(variables).map(([key, variable]) => [key, read<unknown>(variable)])),
  ) as unknown as Config.Config<ValuesOf<T>>

/** The settings that depend on each other. */
interface Dependent {
  readonly adminToken: string
  readonly backends: ReadonlyArray<string>
  readonly decisions: number
  readonly host: string
  readonly keysFile: string
  readonly localKey: string
  readonly localPort: number
  readonly ollamaHost: string
  readonly port: number
  readonly scorers: ReadonlyArray<readonly [ScorerName, number]>
  readonly zone: string
}

const isRouter = ({ host, port }: Dependent) => (url: string): boolean => {
  const target = new URL(url)
  return Number(target.port) === port && ["127.0.0.1", "localhost", "[::1]", host].includes(target.hostname)
}

/** What is wrong with settings that each can be read, but do not go together. */
const conflict = (settings: Dependent): Config.ConfigError | undefined => {
  const { adminToken, backends, decisions, scorers, zone } = settings
  const loop = backends.find(isRouter(settings))
  if (loop !== undefined) return wrong("LLAMERO_BACKENDS", loop, "backends other than this router itself")
  const scoresZone = scorers.some(([name]) => name === "zone")
  if (scoresZone && zone === "") return wrong("LLAMERO_ZONE", "", "the router's zone, since LLAMERO_SCORERS names zone")
  if (!scoresZone && zone !== "") {
    return wrong("LLAMERO_ZONE", zone, "zone among LLAMERO_SCORERS, such as resident=3,least-busy=1,zone=2")
  }
  if (decisions > 0 && adminToken === "") {
    return wrong("LLAMERO_DECISIONS", String(decisions), "LLAMERO_ADMIN_TOKEN, which /admin/decisions asks for")
  }
  return localConflict(settings)
}

/** The listener without keys must have a key of its own: it is for a router that asks for keys. */
const localConflict = ({ keysFile, localKey, localPort, port }: Dependent): Config.ConfigError | undefined => {
  if (localPort === 0 && localKey === "") return undefined
  if (keysFile === "") return wrong("LLAMERO_KEYS_FILE", "", "a file of keys, since LLAMERO_LOCAL_PORT is set")
  if (localPort === 0) return wrong("LLAMERO_LOCAL_PORT", "", "a port, since LLAMERO_LOCAL_KEY is set")
  if (localKey === "") return wrong("LLAMERO_LOCAL_KEY", "", "the id of a key, since LLAMERO_LOCAL_PORT is set")
  if (localPort === port) return wrong("LLAMERO_LOCAL_PORT", String(port), "another port than LLAMERO_PORT")
  return undefined
}

/**
 * The settings, if they go together.
 *
 * A shell that points its clients at the router (`OLLAMA_HOST=127.0.0.1:11435`) may also start the router. Then
 * `ollamaHost` is cleared, so that the router does not send requests to itself.
 *
 * @internal
 */
export const checked = <S extends Dependent>(settings: S): Effect.Effect<S, Config.ConfigError> => {
  const error = conflict(settings)
  if (error !== undefined) return Effect.fail(error)
  const toItself = settings.ollamaHost !== "" && isRouter(settings)(settings.ollamaHost)
  return Effect.succeed(toItself ? { ...settings, ollamaHost: "" } : settings)
}
