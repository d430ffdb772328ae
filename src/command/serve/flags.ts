/** The flags of `llamero serve`: one for each setting. */
import { Option } from "effect"
import { Flag } from "effect/cli"
import * as Settings from "../../layers/Settings.ts"

type AnyVariable = Settings.Variable<unknown>

const all: ReadonlyArray<AnyVariable> = Object.values(Settings.variables)
const names = new Set(all.map(({ name }) => name))

/** The words in a meaning name other settings as flags, too. */
const asFlags = (text: string): string =>
  text.replaceAll(/\b(LLAMERO|OTEL|OLLAMA)_[A-Z_]+\b/g, (name) => names.has(name) ? `--${Settings.flagOf(name)}` : name)

/** What the help writes behind the name of a flag. */
const metavar = ({ natural: { schema } }: AnyVariable): string => {
  if (Array.isArray(schema["enum"])) return schema["enum"].join("|")
  const type = schema["type"]
  if (type === "integer" || type === "number") return "number"
  if (type === "array") return "a,b"
  if (type === "object") return "name=value,…"
  return "anyOf" in schema ? "bytes" : "text"
}

const help = ({ isSecret = false, meaning, shown }: AnyVariable): string =>
  asFlags(meaning) + (shown === "" ? "" : ` [${shown}]`) +
  (isSecret ? "; the list of processes shows it: rather use the variable or the file" : "")

/** Its value is the text that the variable would have. */
const flag = (variable: AnyVariable): Flag.Flag<Option.Option<string>> => {
  const name = Settings.flagOf(variable.name)
  const text = typeof variable.fallback === "boolean"
    ? Flag.map(Flag.Boolean(name), (isOn) => isOn ? "on" : "off")
    : Flag.withMetavar(Flag.String(name), metavar(variable))
  return Flag.optional(Flag.withDescription(text, help(variable)))
}

/** By the names of variables. */
export const settings: Readonly<Record<string, Flag.Flag<Option.Option<string>>>> = Object.fromEntries(
  all.map((variable) => [variable.name, flag(variable)]),
)

/** The flags that were given. */
export const given = (
  values: Readonly<Record<string, Option.Option<string>>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, text]) => Option.isSome(text) ? [[name, text.value]] : []),
  )
