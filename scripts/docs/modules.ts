/**
 * Reads the public modules: docstrings and declarations from the sources, the types of values from the declarations that the compiler writes. Our own
 * sources have one form (`deno fmt`): what is exported begins in the first column, with its docstring above it.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { publicFiles } from "../exports.ts"

export const root = join(import.meta.dirname, "../..")

export const folders = ["services", "layers", "plugins"] as const
export type Folder = (typeof folders)[number]

export interface Declared {
  readonly name: string
  /** Markdown. */
  readonly doc: string
  readonly category: string
  /** TypeScript: the source of types and classes, the type of values. */
  readonly text: string
  /** As the compiler writes it, with a semicolon behind each member. */
  readonly compiled: string
  readonly isExported: boolean
}

export interface Module {
  readonly folder: Folder
  /** Relative to `src`. */
  readonly file: string
  readonly name: string
  readonly doc: string
  readonly declared: ReadonlyArray<Declared>
}

const docOf = (comment: string) => {
  const text = comment.replace(/^\/\*\*\s?/, "").replace(/\s*\*\/$/, "").split("\n").map((line) =>
    line.replace(/^ \* ?/, "")
  ).join("\n")
  return {
    doc: text.replaceAll(/@(?:category|since) [\w.]+/g, "").replaceAll("@internal", "").trim(),
    category: /@category (\w+)/.exec(text)?.[1] ?? "",
  }
}

const begins = /^(?:\/\*\*|export |declare |import |const |type |interface |class |function |\/\/)/
const declares = /^(export )?(?:declare )?(?:const|let|class|interface|type|function) (\w+)/

interface Statement {
  readonly comment: string
  readonly text: string
}

/** Everything that begins in the first column, each with the docstring before it. */
const statements = (source: string): ReadonlyArray<Statement> => {
  const found: Array<Statement> = []
  const lines = source.split("\n")
  let comment = ""
  for (let i = 0; i < lines.length;) {
    let end = i + 1
    if (lines[i]!.startsWith("/**")) {
      while (!lines[end - 1]!.includes("*/")) end++
      comment = lines.slice(i, end).join("\n")
    } else if (begins.test(lines[i]!)) {
      while (end < lines.length && !begins.test(lines[end]!)) end++
      found.push({ comment, text: lines.slice(i, end).join("\n").trimEnd() })
      comment = ""
    }
    i = end
  }
  return found
}

const read = (folder: Folder, file: string, compiled: string): Module => {
  const name = file.slice(file.lastIndexOf("/") + 1, -3)
  const source = readFileSync(join(root, "src", file), "utf8")
  const types = new Map(
    statements(compiled).flatMap(({ text }) => {
      const declares_ = declares.exec(text)?.[2]
      return declares_ === undefined ? [] : [[declares_, text] as const]
    }),
  )
  const head = source.startsWith("/**") ? source.slice(0, source.indexOf("*/") + 2) : ""
  const declared = statements(source.slice(head.length)).flatMap(({ comment, text }): ReadonlyArray<Declared> => {
    const [, exported, named] = declares.exec(text) ?? []
    if (named === undefined || comment.includes("@internal")) return []
    const type = types.get(named) ?? ""
    const isValue = /^(export )?(const|let|function) /.test(text)
    return [{
      name: named,
      ...docOf(comment),
      text: isValue ? type.replace(/^export declare /, "").replace(/;$/, "") : text.replace(/^export /, ""),
      compiled: type,
      isExported: exported !== undefined,
    }]
  })
  return { folder, file, name, doc: docOf(head).doc, declared }
}

/** All public modules; the compiler is asked for their types. */
export const readModules = (): ReadonlyArray<Module> => {
  const out = mkdtempSync(join(tmpdir(), "llamero-docs-"))
  try {
    execFileSync(join(root, "node_modules/.bin/tsc"), [
      "-p",
      "tsconfig.build.json",
      "--emitDeclarationOnly",
      "--outDir",
      out,
    ], { cwd: root, stdio: "inherit" })
    return folders.flatMap((folder) =>
      publicFiles().filter((file) => file.startsWith(`${folder}/`)).map((file) =>
        read(folder, file, readFileSync(join(out, file.replace(/\.ts$/, ".d.ts")), "utf8"))
      )
    )
  } finally {
    rmSync(out, { recursive: true })
  }
}
