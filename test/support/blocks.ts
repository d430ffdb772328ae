/** Code blocks of documents, and what is wrong with those that no compiler reads. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { parseDocument } from "yaml"

export interface Block {
  readonly language: string
  readonly text: string
  /** Of its first fence. */
  readonly line: number
}

export const blocksOf = (document: string): ReadonlyArray<Block> =>
  Array.from(document.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm), (match) => ({
    language: match[1]!,
    text: match[2]!,
    line: document.slice(0, match.index).split("\n").length,
  }))

/** Languages of other programs, and diagrams: no compiler of ours reads them. */
const foreign = ["mermaid", "nginx", "text"]

const json = (text: string): string | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    return String(error)
  }
}

/** Scripts of the package and files of the repository have to exist; what a machine has is its own. */
const shell = (text: string, root: string, scripts: ReadonlyArray<string>): string | undefined => {
  for (const [, name = ""] of text.matchAll(/\bnpm (?:run )?([a-z][a-z:]*)/g)) {
    if (![...scripts, "ci", "install"].includes(name)) return `npm has no script ${name}`
  }
  for (const [file] of text.matchAll(/\b(?:src|examples|bench|scripts|test)\/[\w./-]+\.ts\b/g)) {
    if (!existsSync(join(root, file))) return `${file} does not exist`
  }
  return undefined
}

/** What is wrong with a block that is not TypeScript; `ts` is for the compilers. */
export const fault = (
  { language, text }: Block,
  root: string,
  scripts: ReadonlyArray<string>,
): string | undefined => {
  if (language === "ts" || foreign.includes(language)) return undefined
  if (language === "json") return json(text)
  if (language === "yaml") return parseDocument(text).errors[0]?.message
  if (language === "sh") return shell(text, root, scripts)
  return `nobody checks ${language === "" ? "a block without a language" : language}`
}
