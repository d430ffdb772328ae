/** The rules of the house, over a table of who imports whom. */
import { isPublic } from "../../scripts/exports.ts"

/** For each file, relative to `src`, the files it imports. */
export type Tree = ReadonlyMap<string, ReadonlyArray<string>>

/**
 * Whether a file is what a deployer swaps: a layer, or a plugin. The other public files of a room are building blocks,
 * for the room itself and for the test kit.
 */
export type IsSwappable = (file: string) => boolean

/** Which top folders each top folder may import, besides its own. */
const directions: Readonly<Record<string, ReadonlyArray<string>>> = {
  services: [],
  support: ["services"],
  wire: ["services", "support"],
  plugins: ["services", "support"],
  layers: ["services", "support", "wire"],
  simulated: ["services", "support", "wire"],
  testing: ["services", "support", "wire", "layers", "plugins", "simulated"],
  command: ["services", "support", "wire", "layers", "plugins", "simulated"],
}

/** Files that put other public files together, and so may import them. */
const assemblies = [
  /^index\.ts$/,
  /^layers\/(Standard|OllamaApp|Settings|PluginFiles)\.ts$/,
  /^plugins\/StandardProfile\.ts$/,
  /^simulated\//,
  /^testing\//,
  /^command\//,
]

/** The top folder, "" for the barrel. */
const topOf = (file: string): string => file.includes("/") ? file.slice(0, file.indexOf("/")) : ""

/**
 * The room of a file. In `layers` and `plugins` each folder is a room, and in `layers/memory` each folder of it; every
 * other top folder is one room.
 */
const roomOf = (file: string): string => {
  const [top = "", room = "", inner = ""] = file.split("/").slice(0, -1)
  if (top !== "layers" && top !== "plugins") return top
  return [top, room, room === "memory" ? inner : ""].filter((part) => part !== "").join("/")
}

/** A top file of `layers` keeps its helpers in a folder of its own name. */
const ownsRoom = (file: string, room: string): boolean =>
  /^layers\/[A-Z]\w*\.ts$/.test(file) && room === file.slice(0, -3).toLowerCase()

const fault = (file: string, to: string, isSwappable: IsSwappable): string | undefined => {
  const [from, into] = [topOf(file), topOf(to)]
  const assembles = assemblies.some((pattern) => pattern.test(file))
  const mayImport = directions[from] ?? Object.keys(directions)
  const isOwn = from === into
  if (!isOwn && !mayImport.includes(into) && !(assembles && from === "layers" && into === "plugins")) {
    return `${from} may not import ${into}`
  }
  const room = roomOf(to)
  if ((into === "layers" || into === "plugins" || into === "simulated") && !isPublic(to) && roomOf(file) !== room) {
    return ownsRoom(file, room) ? undefined : `${to} is a helper of the room ${room}`
  }
  if (into === "layers" && from === "layers" && !assembles && roomOf(file) !== room) return `${to} is in another room`
  // A layer or a plugin can be swapped only if no other one knows it.
  if (isOwn && (into === "layers" || into === "plugins") && isSwappable(to) && !assembles) {
    if (!isPublic(file)) return `a helper may not import the public file ${to}`
    return `${to} is another public file`
  }
  return undefined
}

/** What is wrong, a line for each import. */
export const faults = (tree: Tree, isSwappable: IsSwappable): ReadonlyArray<string> =>
  Array.from(tree).flatMap(([file, imported]) =>
    imported.flatMap((to) => {
      const why = fault(file, to, isSwappable)
      return why === undefined ? [] : [`${file} imports ${to}: ${why}`]
    })
  )

/** Each circle of imports as a line, such as `a.ts -> b.ts -> a.ts`. */
export const circles = (tree: Tree): ReadonlyArray<string> => {
  const found: Array<string> = []
  const done = new Set<string>()
  const path: Array<string> = []
  const visit = (file: string): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push([...path.slice(at), file].join(" -> "))
    if (at >= 0 || done.has(file)) return
    path.push(file)
    for (const to of tree.get(file) ?? []) visit(to)
    path.pop()
    done.add(file)
  }
  for (const file of tree.keys()) visit(file)
  return found
}
