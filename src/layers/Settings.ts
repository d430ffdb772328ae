/**
 * Everything that a deployer may set from the environment, in one table with its defaults. The reference server reads
 * it, and the documentation prints it.
 *
 * @since 0.1.0
 */
import { Config } from "effect"
import * as PullRoutes from "./routes/PullRoutes.ts"
import * as Access from "./settings/access.ts"
import * as Backends from "./settings/backends.ts"
import * as Memory from "./settings/memory.ts"
import * as Read from "./settings/read.ts"
import * as Traffic from "./settings/traffic.ts"

export type { Level, ScorerName } from "./settings/structured.ts"
export type { Variable } from "./settings/variable.ts"

/**
 * The table: each setting with its environment variable. `src/layers/settings` has it by subject.
 *
 * @category settings
 * @since 0.1.0
 */
export const variables = {
  ...Backends.backends,
  ...Backends.listening,
  ...Backends.streams,
  ...Backends.placing,
  ...Traffic.queues,
  ...Traffic.admin,
  ...Traffic.times,
  ...Traffic.sizes,
  ...Traffic.failures,
  ...Traffic.sharing,
  ...Memory.memory,
  ...Access.access,
  ...Access.pulls(PullRoutes.isPattern),
  ...Access.requests,
}

/** The value of every setting. @category models @since 0.1.0 */
export type Settings = Read.ValuesOf<typeof variables>

/** The settings of a router for which nothing is set. @category settings @since 0.1.0 */
export const defaults = Object.fromEntries(
  Object.entries(variables).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Settings

/**
 * The settings from the `ConfigProvider`, which is the environment unless a deployer provides another one. Fails at the
 * first value that cannot be read, and for values that do not go together.
 *
 * @category settings
 * @since 0.1.0
 */
export const config: Config.Config<Settings> = Config.mapEffect(Read.all(variables), Read.checked)

/** The error in one line: which variable, its value, and what is wanted. @category settings @since 0.1.0 */
export const explain = (error: Config.ConfigError): string =>
  error.cause._tag === "SourceError" ? error.cause.message : error.message

/** Names that begin with `LLAMERO_` and are not settings: probably typing errors. @category settings @since 0.1.0 */
export const unknownNames = (names: Iterable<string>): ReadonlyArray<string> => {
  const known = new Set(Object.values(variables).map(({ name }) => name))
  return Array.from(names).filter((name) => name.startsWith("LLAMERO_") && !known.has(name)).sort()
}

/** The table in Markdown, for the documentation. @category settings @since 0.1.0 */
export const table = (): string =>
  [
    "| variable | default | meaning |",
    "| --- | --- | --- |",
    ...Object.values(variables).map(({ meaning, name, shown }) =>
      `| \`${name}\` | ${shown && `\`${shown}\``} | ${meaning} |`
    ),
  ].join("\n")
