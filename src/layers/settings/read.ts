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

/** A table of variables. @internal */
export type Table = Readonly<Record<string, Variable<unknown>>>

/** What must hold between values that can be read. It gets the keys of those that cannot. @internal */
export type Rules<T> = (values: ValuesOf<T>, unread: ReadonlySet<string>) => ReadonlyArray<string>

/** An error of one or more flaws, a line each. @internal */
export const failing = (flaws: ReadonlyArray<string>): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message: flaws.join("\n") }))

/** The flaws of an error, a line each. @internal */
export const flawsOf = ({ cause, message }: Config.ConfigError): ReadonlyArray<string> =>
  (cause._tag === "SourceError" ? cause.message : message).split("\n")

/** A value as an error may show it: without the user and password of a URL, wherever they stand in it. @internal */
export const shown = (value: unknown): string => {
  const text = JSON.stringify(value, (_, part) => typeof part === "string" ? withoutPasswords(part) : part)
  return typeof value === "string" || text.length <= 80 ? text : `${text.slice(0, 80)}…`
}

/** Files for `docker run --env-file` keep the quotes that a shell would remove. */
const unquoted = (text: string): string => /^(["'])(.*)\1$/s.exec(text)?.[2]?.trim() ?? text

/** What a source says for a variable: its value, or why it has none. @internal */
export interface Reading<A> {
  readonly value: A
  readonly flaw: string | undefined
}

/** The reading of a text. `said`: the name in the error. An empty text means "not set". @internal */
export const ofText = <A>(said: string, text: string, { fallback, parse, wanted }: Variable<A>): Reading<A> => {
  if (text === "") return { value: fallback, flaw: undefined }
  const value = parse(text)
  return value === undefined
    ? { value: fallback, flaw: `${said}=${shown(text)}: wants ${wanted}` }
    : { value, flaw: undefined }
}

/**
 * The variable that counts, with its text. A variable that is empty counts as not set: compose files and shells set
 * many variables to nothing.
 *
 * @internal
 */
export const counting = (
  { also, name }: Variable<unknown>,
  textOf: (name: string) => string | undefined,
): readonly [name: string, text: string] => {
  const first = unquoted((textOf(name) ?? "").trim())
  return first !== "" || also === undefined ? [name, first] : [also, unquoted((textOf(also) ?? "").trim())]
}

const read = <A>(variable: Variable<A>): Config.Config<Reading<A>> => {
  const { also, name } = variable
  const names = also === undefined ? [name] : [name, also]
  const texts = Config.all(names.map((name) => Config.withDefault(Config.String(name), "")))
  return Config.map(texts, (texts) => {
    const [from, text] = counting(variable, (name) => texts[names.indexOf(name)])
    return ofText(from, text, variable)
  })
}

/**
 * The values of readings, and everything that is wrong with them.
 *
 * @internal
 */
export const judged = <T extends Table>(
  readings: Readonly<Record<string, { readonly value: unknown; readonly flaws: ReadonlyArray<unknown> }>>,
  rules: Rules<T> = () => [],
): { readonly values: ValuesOf<T>; readonly unread: ReadonlySet<string>; readonly broken: ReadonlyArray<string> } => {
  const entries = Object.entries(readings)
  const values = Object.fromEntries(entries.map(([key, { value }]) => [key, value])) as unknown as ValuesOf<T>
  const unread = new Set(entries.flatMap(([key, { flaws }]) => flaws.length === 0 ? [] : [key]))
  return { values, unread, broken: rules(values, unread) }
}

/**
 * All values of a table, if they can be read and go together. The error has a line for everything that is wrong.
 *
 * @internal
 */
export const all = <T extends Table>(variables: T, rules?: Rules<T>): Config.Config<ValuesOf<T>> =>
  Config.mapEffect(
    Config.all(Object.fromEntries(Object.entries(variables).map(([key, variable]) => [key, read(variable)]))),
    (found) => {
      const readings = Object.fromEntries(
        Object.entries<Reading<unknown>>(found).map(([key, { flaw, value }]) => [
          key,
          { value, flaws: flaw === undefined ? [] : [flaw] },
        ]),
      )
      const { broken, values } = judged<T>(readings, rules)
      const flaws = [...Object.values(readings).flatMap(({ flaws }) => flaws), ...broken]
      return flaws.length === 0 ? Effect.succeed(values) : Effect.fail(failing(flaws))
    },
  )
