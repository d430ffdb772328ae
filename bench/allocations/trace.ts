/** Who allocates: reads the counts of `HeapProfiler.startTrackingHeapObjects`, which has every object of a process. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** What one function has allocated. */
export interface Allocated {
  readonly name: string
  /** The script, relative to the repository where it is one of its own; empty for V8's own functions. */
  readonly script: string
  readonly line: number
  /** The nearest function of `src/` that has called it, or it itself; `undefined` where there is none. */
  readonly caller: string | undefined
  readonly bytes: number
  readonly objects: number
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly trace_function_info_fields: ReadonlyArray<string> } }
  readonly strings: ReadonlyArray<string>
  readonly trace_function_infos: ReadonlyArray<number>
  /** Five values a node: id, function, objects, bytes, children. */
  readonly trace_tree: ReadonlyArray<unknown>
}
type Place = Pick<Allocated, "name" | "script" | "line">

const root = fileURLToPath(new URL("../..", import.meta.url))

/** A path that is the same on every machine. */
const relative = (script: string): string => {
  const path = script.startsWith("file://") ? fileURLToPath(script) : script
  const inModules = path.lastIndexOf("/node_modules/")
  if (inModules >= 0) return path.slice(inModules + 1)
  return path.startsWith(root) ? path.slice(root.length) : path
}

/** Functions of this tool and of the inspector, which are not part of the program. */
const isOurs = ({ script }: Place): boolean => /^bench\/allocations\/(?!router)|^node:(inspector|v8)/.test(script)

export const where = ({ line, name, script }: Place): string =>
  `${name === "" ? "(anonymous)" : name} ${script === "" ? "in V8" : `${script}:${line}`}`

/** What was allocated, by function and caller. */
export const allocations = (file: string): ReadonlyArray<Allocated> => {
  const { snapshot, strings, trace_function_infos: infos, trace_tree } = JSON.parse(
    readFileSync(file, "utf8"),
  ) as Snapshot
  const fields = snapshot.meta.trace_function_info_fields
  const [nameAt, scriptAt, lineAt] = ["name", "script_name", "line"].map((field) => fields.indexOf(field))
  const place = (index: number): Place => {
    const from = index * fields.length
    return {
      name: strings[infos[from + nameAt!]!]!,
      script: relative(strings[infos[from + scriptAt!]!]!),
      line: infos[from + lineAt!]!,
    }
  }
  const places = Array.from({ length: infos.length / fields.length }, (_, index) => place(index))
  const found = new Map<string, { -readonly [Key in keyof Allocated]: Allocated[Key] }>()
  const walk = (nodes: ReadonlyArray<unknown>, above: string | undefined): void => {
    for (let i = 0; i < nodes.length; i += 5) {
      const [, index, objects, bytes, children] = nodes.slice(i, i + 5) as [0, number, number, number, Array<unknown>]
      const at = places[index]!
      if (isOurs(at)) continue
      const caller = at.script.startsWith("src/") ? where(at) : above
      if (bytes > 0) {
        const key = `${where(at)}|${caller}`
        const known = found.get(key)
        if (known === undefined) found.set(key, { ...at, caller, bytes, objects })
        else {
          known.bytes += bytes
          known.objects += objects
        }
      }
      walk(children, caller)
    }
  }
  walk(trace_tree, undefined)
  return [...found.values()].toSorted((a, b) => b.bytes - a.bytes)
}
