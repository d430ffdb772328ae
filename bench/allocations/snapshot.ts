/** What a program keeps: the difference of two heap snapshots. */
import { readFileSync } from "node:fs"

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: ReadonlyArray<string>
      readonly node_types: readonly [ReadonlyArray<string>, ...ReadonlyArray<unknown>]
    }
  }
  readonly nodes: ReadonlyArray<number>
  readonly strings: ReadonlyArray<string>
}

/** Objects have a constructor's name, closures that of their function. Other things are only told apart by type. */
const named = new Set(["object", "closure", "native"])

const kinds = (file: string): ReadonlyMap<string, number> => {
  const { nodes, snapshot: { meta }, strings } = JSON.parse(readFileSync(file, "utf8")) as Snapshot
  const [types] = meta.node_types
  const sizeAt = meta.node_fields.indexOf("self_size")
  const bytes = new Map<string, number>()
  for (let i = 0; i < nodes.length; i += meta.node_fields.length) {
    const type = types[nodes[i]!]!
    // Code and what V8 learns of it are not made by requests.
    if (type === "code" || type === "hidden" || type === "object shape") continue
    const kind = named.has(type) ? `${type} ${strings[nodes[i + 1]!]}` : type
    bytes.set(kind, (bytes.get(kind) ?? 0) + nodes[i + sizeAt]!)
  }
  return bytes
}

const shown = 4

/** Bytes by which the second snapshot is larger, and the kinds of objects that grew most. */
export const kept = (before: string, after: string): { readonly bytes: number; readonly kinds: string } => {
  const old = kinds(before)
  const grown = [...kinds(after)].map(([kind, bytes]) => ({ kind, bytes: bytes - (old.get(kind) ?? 0) }))
  const largest = grown.filter(({ bytes }) => bytes > 1024).toSorted((a, b) => b.bytes - a.bytes).slice(0, shown)
  return {
    bytes: grown.reduce((sum, { bytes }) => sum + bytes, 0),
    kinds: largest.map(({ bytes, kind }) => `${kind} ${(bytes / 1024).toFixed(0)} KiB`).join(", "),
  }
}
