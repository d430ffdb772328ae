/** What the types of layers, plugins and options say. */
import type { Declared, Module } from "./modules.ts"

/** `A, B<C, D>` at its outer separators. */
const split = (text: string, separator: "," | "|"): ReadonlyArray<string> => {
  const parts = [""]
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if ("<([{".includes(char)) depth++
    if (")]}".includes(char) || (char === ">" && text[i - 1] !== "=")) depth--
    if (char === separator && depth === 0) parts.push("")
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.trim()).filter((part) => part !== "")
}

/** What stands between the angle brackets that begin at `from`. */
const inside = (text: string, from: number): string => {
  let depth = 0
  for (let i = from; i < text.length; i++) {
    if (text[i] === "<") depth++
    if (text[i] === ">" && text[i - 1] !== "=" && --depth === 0) return text.slice(from + 1, i)
  }
  return text.slice(from + 1)
}

/** The members of a union, with the module's own names for unions written out, unless they are computed. */
const members = (union: string, { declared }: Module): ReadonlyArray<string> =>
  split(union, "|").flatMap((member): ReadonlyArray<string> => {
    if (member === "never") return []
    const own = declared.find(({ compiled, name }) => name === member && /^(export )?(declare )?type /.test(compiled))
    const meant = own?.compiled.slice(own.compiled.indexOf("=") + 1).replace(/;$/, "").trim()
    return meant === undefined || meant.includes("[") ? [member] : members(meant, { declared } as Module)
  })

export interface LayerType {
  readonly gives: ReadonlyArray<string>
  readonly errors: ReadonlyArray<string>
  readonly needs: ReadonlyArray<string>
}

/** Of a layer, or of a function that makes one; `undefined` for anything else. */
export const layerType = ({ compiled, name }: Declared, module: Module): LayerType | undefined => {
  if (!/^(layer|store)/.test(name)) return undefined
  const returned = /=> (\w+)<[\w, ]*>;$/.exec(compiled)?.[1]
  const text = module.declared.find((one) => one.name === returned)?.compiled ?? compiled
  const at = text.lastIndexOf("Layer.Layer<")
  if (at < 0) return undefined
  const [gives = "never", errors = "never", needs = "never"] = split(inside(text, at + "Layer.Layer".length), ",")
  return { gives: members(gives, module), errors: members(errors, module), needs: members(needs, module) }
}

const kinds = ["Filter", "Guard", "Observer", "Picker", "Plan", "Profile", "RetryPolicy", "Scorer", "VictimPicker"]

/** What a plugin module makes: `Guard`, or several kinds; and the services it asks for. */
export const pluginType = (module: Module): { kinds: ReadonlyArray<string>; needs: ReadonlyArray<string> } => {
  const { compiled = "" } = module.declared.find(({ name }) => name === "make") ?? {}
  const result = compiled.slice(compiled.lastIndexOf("=> "))
  const effect = result.indexOf("Effect.Effect<")
  const plan = /\bPlan</.exec(result)
  const needs = effect >= 0
    ? split(inside(result, effect + "Effect.Effect".length), ",")[2]
    : plan === null
    ? undefined
    : inside(result, plan.index + "Plan".length)
  return {
    kinds: kinds.filter((kind) => new RegExp(`\\b${kind}\\b`).test(effect >= 0 ? result.split(",")[0]! : result)),
    needs: members(needs ?? "never", module),
  }
}

export interface Option {
  readonly name: string
  readonly type: string
  readonly isOptional: boolean
  readonly doc: string
  /** As the docstring says it; empty where it says none. */
  readonly fallback: string
}

const member = /^ {4}(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n {4})?readonly (\w+)(\?)?: ((?:[^;{]|\{[^}]*\})*);$/gm

/** The members of an interface of options, or of options that a function takes in place. */
export const options = ({ compiled }: Declared): ReadonlyArray<Option> =>
  Array.from(compiled.replace(/=> \{[\s\S]*$/, "").matchAll(member), ([, comment = "", name = "", mark, type = ""]) => {
    const doc = comment.split("\n").map((line) => line.replace(/^ +\* ?/, "")).join(" ").trim()
    return {
      name,
      type: type.replace(/ \| undefined$/, "").replaceAll(/\s+/g, " "),
      isOptional: mark === "?",
      doc,
      fallback: /Defaults to (`[^`]*`|(?:[^.:;,`]|\.(?=\S))+)/.exec(doc)?.[1] ?? "",
    }
  })
