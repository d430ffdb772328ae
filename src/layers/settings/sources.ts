/**
 * Settings from several sources: flags before a file, and a file before the environment. Each flaw says where it is.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import * as Names from "./names.ts"
import type { Path, WrongPart } from "./natural.ts"
import * as Read from "./read.ts"
import type { Variable } from "./variable.ts"

/** A place in a file; both numbers begin with 1. @category models @since 0.1.0 */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Something that is wrong with settings. @category models @since 0.1.0 */
export interface Flaw {
  /** All of it in one line, the place included. */
  readonly message: string
  /** Where it is, if it is in a file. */
  readonly place?: Place | undefined
}

/** A key of a file, with its value as JSON. @category models @since 0.1.0 */
export interface FileEntry {
  readonly value: unknown
  /** The place of the value's part at a path; of the key, where the path is empty. */
  readonly place: (path: Path) => Place
}

/** A file of settings. @category models @since 0.1.0 */
export interface SettingsFile {
  readonly path: string
  readonly entries: ReadonlyMap<string, FileEntry>
  /** What is wrong with the text of the file. */
  readonly flaws: ReadonlyArray<Flaw>
}

/** Where settings come from, the strongest first. @category models @since 0.1.0 */
export interface Sources {
  /** Texts by the names of variables. */
  readonly flags?: Readonly<Record<string, string>> | undefined
  readonly file?: SettingsFile | undefined
  readonly env: Names.Env
}

/** Which source gives a setting. */
type Origin =
  | { readonly _tag: "flag" }
  | { readonly _tag: "file"; readonly entry: FileEntry }
  | { readonly _tag: "variable" }

/** What the sources give. @category models @since 0.1.0 */
export interface Found<Values> {
  /** Settings that cannot be read have their defaults. */
  readonly values: Values
  /** The keys of settings that cannot be read. */
  readonly unread: ReadonlySet<string>
  readonly flaws: ReadonlyArray<Flaw>
  /** A flaw whose text names variables: they are named as they were given, and the place is added. */
  readonly located: (message: string) => Flaw
}

const prefixed = ({ column, file, line }: Place, message: string): string => `${file}:${line}:${column}: ${message}`

const at = (place: Place, message: string): Flaw => ({ message: prefixed(place, message), place })

/** `backends[1]`, `limits.tokens`. */
const pathText = (key: string, path: Path): string =>
  path.reduce<string>((text, step) => text + (typeof step === "number" ? `[${step}]` : `.${step}`), key)

/** What is wrong with the parts of a value in a file. */
const fileFlaws = (key: string, entry: FileEntry, isSecret: boolean, parts: ReadonlyArray<WrongPart>) =>
  parts.map(({ path, value, wanted }) =>
    at(entry.place(path), `${pathText(key, path)}${isSecret ? "" : `=${Read.shown(value)}`}: wants ${wanted}`)
  )

/** Which source gives each variable, by its name. */
const originsOf = (names: Iterable<string>, { env, file, flags }: Sources): ReadonlyMap<string, Origin> =>
  new Map(
    Array.from(names).flatMap((name): ReadonlyArray<readonly [string, Origin]> => {
      if (flags?.[name] !== undefined) return [[name, { _tag: "flag" }]]
      const entry = file?.entries.get(Names.keyOf(name))
      // A key without a value counts as not set, as an empty variable does.
      if (entry !== undefined && entry.value !== null) return [[name, { _tag: "file", entry }]]
      return env[name] === undefined ? [] : [[name, { _tag: "variable" }]]
    }),
  )

const read = (
  variable: Variable<unknown>,
  origin: Origin | undefined,
  { env, flags }: Sources,
): { readonly value: unknown; readonly flaws: ReadonlyArray<Flaw> } => {
  const { fallback, isSecret = false, name, natural } = variable
  if (origin?._tag === "file") {
    const found = natural.read(origin.entry.value)
    return Result.isSuccess(found)
      ? { value: found.success, flaws: [] }
      : { value: fallback, flaws: fileFlaws(Names.keyOf(name), origin.entry, isSecret, found.failure) }
  }
  const [said, text] = origin?._tag === "flag"
    ? [`--${Names.flagOf(name)}`, (flags?.[name] ?? "").trim()]
    : Read.counting(variable, (name) => env[name])
  const { flaw, value } = Read.ofText(said, text, variable)
  return { value, flaws: flaw === undefined ? [] : [{ message: flaw }] }
}

/** Names settings in a message as they were given; those that nobody gave as the others. */
const locating = (names: ReadonlyArray<string>, origins: ReadonlyMap<string, Origin>) => {
  const mention = new RegExp(`\\b(${[...names].sort((a, b) => b.length - a.length).join("|")})\\b`, "g")
  return (message: string): Flaw => {
    const mentioned = Array.from(message.matchAll(mention), ([name]) => origins.get(name))
    const first = mentioned.find((origin) => origin?._tag === "file") ??
      mentioned.find((origin) => origin !== undefined)
    const text = message.replaceAll(mention, (name) => {
      const tag = (origins.get(name) ?? first)?._tag
      return tag === "flag" ? `--${Names.flagOf(name)}` : tag === "file" ? Names.keyOf(name) : name
    })
    return first?._tag === "file" ? at(first.entry.place([]), text) : { message: text }
  }
}

/** Keys of a file that are no settings. */
const unknownKeys = (file: SettingsFile | undefined, keys: ReadonlySet<string>, own: ReadonlyArray<string>) =>
  Array.from(file?.entries ?? []).flatMap(([key, { place }]) => {
    if (keys.has(key) || key === "$schema") return []
    const near = Names.nearest(Names.ofKey(key), own)
    const hint = near === undefined ? "" : `; did you mean ${Names.keyOf(near)}?`
    return [at(place([]), `${key}: no setting has this name${hint}`)]
  })

/** Variables that no file has, since they say where the file is, or which variables are none. @internal */
export const isForFile = (name: string): boolean => name !== "LLAMERO_CONFIG" && name !== "LLAMERO_IGNORE"

/**
 * The settings of a table, from all sources. `ownNames` are the names that a misspelt key may have been meant for.
 *
 * @internal
 */
export const find = <T extends Read.Table>(
  table: T,
  sources: Sources,
  rules: Read.Rules<T>,
  ownNames: ReadonlyArray<string>,
): Found<Read.ValuesOf<T>> => {
  const names = Object.values(table).map(({ name }) => name)
  const origins = originsOf(names, sources)
  const readings = Object.fromEntries(
    Object.entries(table).map(([key, variable]) => [key, read(variable, origins.get(variable.name), sources)]),
  )
  const { broken, unread, values } = Read.judged<T>(readings, rules)
  const located = locating(names, origins)
  const keys = new Set(names.filter(isForFile).map(Names.keyOf))
  return {
    values,
    unread,
    located,
    flaws: [
      ...sources.file?.flaws ?? [],
      ...unknownKeys(sources.file, keys, ownNames.filter(isForFile)),
      ...Object.values(readings).flatMap(({ flaws }) => flaws),
      ...broken.map(located),
    ],
  }
}
