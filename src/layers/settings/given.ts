/**
 * Which settings that say where backends are were given.
 *
 * @since 0.1.0
 */
import * as Backends from "./backends.ts"
import * as Memory from "./memory.ts"
import * as Names from "./names.ts"
import type { Sources } from "./sources.ts"

const { plugins: _, ...aboutBackends } = { ...Backends.backends, agents: Memory.memory.agents }

/**
 * Names in an environment of settings that say which backends there are. A variable that is empty counts, too: somebody
 * meant to set it, so made-up answers of a simulated fleet are not wanted.
 *
 * @category settings
 * @since 0.1.0
 */
export const backendNames = (env: Names.Env): ReadonlyArray<string> =>
  Object.values(aboutBackends).flatMap(({ name }) => env[name] === undefined ? [] : [name])

/** As `backendNames`, for all sources: each setting as it was given. @category settings @since 0.1.0 */
export const backendsGiven = ({ env, file, flags = {} }: Sources): ReadonlyArray<string> => [
  ...backendNames(flags).map((name) => `--${Names.flagOf(name)}`),
  ...Object.values(aboutBackends).flatMap(({ name }) =>
    file?.entries.has(Names.keyOf(name)) ? [`${Names.keyOf(name)} in ${file.path}`] : []
  ),
  ...backendNames(env),
]
