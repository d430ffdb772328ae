/** Reads a file of settings, JSON or YAML, and knows the place of each key and value in it. */
import { Effect, FileSystem } from "effect"
import type { Document, Node, Scalar } from "yaml"
import type * as Settings from "../../layers/Settings.ts"

type Path = Parameters<Settings.FileEntry["place"]>[0]

/** Files that are looked for in the working folder, where none is named. */
export const usual = ["llamero.json", "llamero.yaml", "llamero.yml"]

/** A flaw at a place. */
const flawAt = (place: Settings.Place, message: string): Settings.Flaw => ({
  message: `${place.file}:${place.line}:${place.column}: ${message}`,
  place,
})

/** A file that has nothing but flaws. */
const bad = (path: string, flaws: ReadonlyArray<Settings.Flaw>): Settings.SettingsFile => ({
  path,
  entries: new Map(),
  flaws,
})

/** JSON is read by the rules of JSON, and YAML knows where everything is. */
const isJson = (path: string): boolean => path.endsWith(".json")

const jsonError = (text: string): string | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What a file says. The library is loaded only where there is a file. */
export const parse = Effect.fnUntraced(function* (
  path: string,
  source: string,
): Effect.fn.Return<Settings.SettingsFile> {
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = yield* Effect.promise(() => import("yaml"))
  const text = source.replace(/^\uFEFF/, "")
  const lines = new LineCounter()
  const document: Document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: isJson(path) ? "json" : "core",
  })
  const placeOf = (offset: number): Settings.Place => {
    const { col, line } = lines.linePos(offset)
    return { file: path, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const wrong = isJson(path) ? jsonError(text) : undefined
  const errors = document.errors.filter(({ code }) => wrong !== undefined || !isJson(path) || code === "DUPLICATE_KEY")
  if (errors.length > 0) return bad(path, errors.map(({ message, pos }) => flawAt(placeOf(pos[0]), message)))
  if (wrong !== undefined) return bad(path, [flawAt(placeOf(0), wrong)])
  const { contents } = document
  if (contents === null || (isScalar(contents) && contents.value === null)) return bad(path, [])
  if (!isMap<Scalar, Node | null>(contents)) {
    return bad(path, [flawAt(placeOf(contents.range?.[0] ?? 0), "wants an object: keys with values")])
  }
  const entries = contents.items.map(({ key, value }) => {
    const placed = (steps: Path): Settings.Place => {
      const part = steps.length === 0 ? key : document.getIn([key, ...steps], true)
      return placeOf((isNode(part) ? part.range?.[0] : undefined) ?? key.range?.[0] ?? 0)
    }
    return [String(key.value), { value: isNode(value) ? value.toJS(document) : null, place: placed }] as const
  })
  return { path, entries: new Map(entries), flaws: [] }
})

const existing = (files: FileSystem.FileSystem, paths: ReadonlyArray<string>) =>
  Effect.filter(paths, (path) => Effect.orElseSucceed(files.exists(path), () => false))

/** The file that `named` is the path of, or the usual one. `said`: who names it. `undefined`: there is none. */
export const find = Effect.fnUntraced(function* (
  named: { readonly path: string; readonly said: string } | undefined,
): Effect.fn.Return<Settings.SettingsFile | undefined, never, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const found = named === undefined ? yield* existing(files, usual) : [named.path]
  const [path] = found
  if (path === undefined) return undefined
  if (found.length > 1) {
    return bad(path, [{ message: `${found.join(" and ")}: there may be one file of settings; --config names one` }])
  }
  const text = yield* Effect.result(files.readFileString(path))
  if (text._tag === "Success") return yield* parse(path, text.success)
  const why = text.failure.reason._tag === "NotFound" ? `there is no file ${path}` : text.failure.message
  return bad(path, [{ message: named === undefined ? why : `${named.said}: ${why}` }])
})
