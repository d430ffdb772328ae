/**
 * Reads settings from their variables, and tells everything that is wrong with them at once.
 *
 * @since 0.1.0
 */
import { Config, ConfigProvider, Effect } from "effect"
import { withoutPasswords } from "../../services/BackendAccess.ts"
import type { Variable } from "./variable.ts"

/** The value of each variable in a table. @internal */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Variable<infer A> ? A : never }

/** An error of one or more flaws, a line each. @internal */
export const failing = (flaws: ReadonlyArray<string>): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message: flaws.join("\n") }))

/** The flaws of an error, a line each. @internal */
export const flawsOf = ({ cause, message }: Config.ConfigError): ReadonlyArray<string> =>
  (cause._tag === "SourceError" ? cause.message : message).split("\n")

/** A value as an error may show it: without the user and password of a URL, wherever they stand in it. */
const shown = (text: string): string => JSON.stringify(withoutPasswords(text))

/** Files for `docker run --env-file` keep the quotes that a shell would remove. */
const unquoted = (text: string): string => /^(["'])(.*)\1$/s.exec(text)?.[2]?.trim() ?? text

/** What a variable says: its value, or why it has none. */
type Reading<A> = { readonly value: A; readonly flaw: string | undefined }

/** A variable that is empty counts as not set: compose files and shells set many variables to nothing. */
const read = <A>({ also, fallback, name, parse, wanted }: Variable<A>): Config.Config<Reading<A>> => {
  const given = (name: string) => Config.map(Config.withDefault(Config.String(name), ""), (text) => text.trim())
  const texts = Config.all([given(name), also === undefined ? Config.succeed("") : given(also)])
  return Config.map(texts, ([first, second]) => {
    const [from, text] = first !== "" || also === undefined ? [name, unquoted(first)] : [also, unquoted(second)]
    if (text === "") return { value: fallback, flaw: undefined }
    const value = parse(text)
    return value === undefined
      ? { value: fallback, flaw: `${from}=${shown(text)}: wants ${wanted}` }
      : { value, flaw: undefined }
  })
}

/**
 * All values of a table, if they can be read and go together. The error has a line for everything that is wrong.
 * `rules` says what is wrong with values that can be read; it gets the keys of those that cannot.
 *
 * @internal
 */
export const all = <T extends Readonly<Record<string, Variable<unknown>>>>(
  variables: T,
  rules: (values: ValuesOf<T>, unread: ReadonlySet<string>) => ReadonlyArray<string> = () => [],
): Config.Config<ValuesOf<T>> =>
  Config.mapEffect(
    Config.all(Object.fromEntries(Object.entries(variables).map(([key, variable]) => [key, read(variable)]))),
    (readings) => {
      const entries = Object.entries<Reading<unknown>>(readings)
      const values = Object.fromEntries(entries.map(([key, { value }]) => [key, value])) as unknown as ValuesOf<T>
      const unread = new Set(entries.flatMap(([key, { flaw }]) => flaw === undefined ? [] : [key]))
      const flaws = [...entries.flatMap(([, { flaw }]) => flaw ?? []), ...rules(values, unread)]
      return flaws.length === 0 ? Effect.succeed(values) : Effect.fail(failing(flaws))
    },
  )
