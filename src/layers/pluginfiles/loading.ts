/**
 * Loads the module of a plugin file, and says in words why it cannot be loaded. Node and Deno say it in different ways,
 * over several lines, and often without the place.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"

/** A module that could be loaded. */
interface Module {
  readonly [name: string]: unknown
}

/** Without the colours that Deno adds. */
// deno-lint-ignore no-control-regex
const plain = (text: unknown): string => String(text).replaceAll(/\x1b\[[\d;]*m/g, "")

const pathOf = (url: string): string => url.startsWith("file://") ? decodeURIComponent(new URL(url).pathname) : url

const folderOf = (path: string): string => path.replace(/\/[^/]*$/, "")

/**
 * `file:line` of an error: Node writes it at the beginning of the stack, Deno at the end of the message, and both in
 * the frames of the stack.
 */
const placeOf = (message: string, stack: string): string | undefined => {
  const [, file, line] = /^((?:file:\/\/)?\/[^\n]*?):(\d+)\n/.exec(stack) ??
    /\bat (file:\/\/\S+?):(\d+):\d+$/m.exec(message) ??
    /^ +at (?:.*\()?(file:\/\/[^\s)]+?):(\d+):\d+\)?$/m.exec(stack) ?? []
  return file === undefined || file === import.meta.url ? undefined : `${pathOf(file)}:${line}`
}

/** The little that is used of Node's `child_process`. */
interface ChildProcesses {
  readonly execFile: (
    file: string,
    args: ReadonlyArray<string>,
    done: (error: unknown, stdout: string, stderr: string) => void,
  ) => void
}

/** Node does not say where the syntax error of a JavaScript module is, unless it checks only that file. */
const checked = (url: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const { process } = globalThis as {
      readonly process?: { readonly execPath: string; readonly getBuiltinModule?: (name: string) => unknown }
    }
    const children = process?.getBuiltinModule?.("node:child_process") as ChildProcesses | undefined
    if (process === undefined || children === undefined || !url.startsWith("file:")) return resolve(undefined)
    children.execFile(
      process.execPath,
      ["--check", pathOf(url)],
      (_error, _stdout, stderr) => resolve(placeOf("", plain(stderr))),
    )
  })

/** The folder of a package, as this module finds it; `undefined` where it is not installed. */
const packageFolder = (name: string): string | undefined => {
  try {
    const path = pathOf(import.meta.resolve(name))
    const end = path.indexOf(`/node_modules/${name}/`)
    // A checkout of the package itself is in no `node_modules`.
    return end < 0 ? path.replace(/\/(src|dist)\/.*$/, "") : path.slice(0, end) + `/node_modules/${name}`
  } catch {
    return undefined
  }
}

/** How a file outside the project reaches a package. */
const reach = (specifier: string, importer: string): string => {
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")
  const folder = folderOf(importer)
  const found = packageFolder(name)
  const where = `imports ${JSON.stringify(specifier)}, which is not found from ${folder}`
  if (found === undefined) return `${where}: install it there, with npm install ${name}`
  const root = packageFolder("llamero") ?? found.replace(/\/node_modules\/.*$/, "")
  const link = `${folder}/node_modules/${name}`
  return `${where}: move the file into ${root}, or link the package: ` +
    `mkdir -p ${folderOf(link)} && ln -s ${found} ${link}`
}

/** Why a module cannot be loaded, in one line. */
const explain = async (error: unknown, url: string): Promise<string> => {
  const { code, message: given, stack: frames } = error instanceof Error
    ? error as Error & { readonly code?: string }
    : { code: undefined, message: String(error), stack: "" }
  const [message, stack] = [plain(given), plain(frames)]
  const [, missing] = /^Cannot find module '(.+?)'/.exec(message) ?? /^Module not found "(.+?)"/.exec(message) ?? []
  if (missing !== undefined) {
    const [path, own] = [pathOf(missing), pathOf(url)]
    return path === own ? `there is no file ${path}` : `imports ${path}, and there is no such file`
  }
  const [, specifier, importer = pathOf(url)] = /^Cannot find package '(.+?)' imported from (.+)$/m.exec(message) ??
    /^Import "(.+?)" not a dependency/.exec(message) ?? /^Relative import path "(.+?)" not prefixed/.exec(message) ?? []
  if (specifier !== undefined) return reach(specifier, importer)
  const [line = ""] = message.split("\n")
  const isSyntax = error instanceof SyntaxError || line.startsWith("SyntaxError: ")
  const place = placeOf(message, stack) ?? (isSyntax && code === undefined ? await checked(url) : undefined)
  const text = isSyntax && !line.startsWith("SyntaxError") ? `SyntaxError: ${line}` : line
  return `cannot be loaded: ${text}${place === undefined ? "" : ` (${place})`}`
}

/** The URL of a path or URL. In a path, the characters that mean something in URLs are part of names. */
const urlOf = (from: string, folder: string): string =>
  /^[a-z][\w+.-]+:/i.test(from) ? from : new URL(
    (/^[a-z]:[\\/]/i.test(from) ? `file:///${from}` : from).replaceAll("\\", "/").replaceAll("%", "%25").replaceAll(
      "#",
      "%23",
    ).replaceAll("?", "%3F"),
    folder,
  ).href

/** The module of a path or URL, relative to a folder; or why it cannot be loaded. @internal */
export const load = (from: string, folder: string): Effect.Effect<Module, string> => {
  const url = urlOf(from, folder)
  return Effect.tryPromise({
    try: (): Promise<Module> => import(url),
    catch: (error) => error,
  }).pipe(Effect.catch((error) => Effect.flatMap(Effect.promise(() => explain(error, url)), Effect.fail)))
}
