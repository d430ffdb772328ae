/** Names who has allocated: a part of Node, a library, or a room of `src/`. */
import type { Allocated } from "./trace.ts"

const roomOf = (place: string): string | undefined => {
  const [, folder, room] = /(?:^|\s)src\/(\w+)\/(?:(\w+)\/)?/.exec(place) ?? []
  if (folder === undefined) return undefined
  return folder === "layers" && room !== undefined ? `layers/${room}` : folder
}

/**
 * What V8's own functions (`Array.prototype.push`) and Effect make for a room counts for the room. What Node and undici
 * make is theirs, whoever has called them: a proxy without a router makes it, too.
 */
export const allocator = ({ caller, script }: Allocated): string => {
  if (script.startsWith("node_modules/undici/")) return "undici"
  if (script.startsWith("node:")) {
    return /^node:(_?http|_stream)/.test(script) ? "node:http" : "Node: streams, sockets, timers"
  }
  const room = caller === undefined ? undefined : roomOf(caller)
  if (script.startsWith("node_modules/")) return room === undefined ? "Effect's scheduler" : `${room}, by Effect`
  if (script !== "") return roomOf(script) ?? "the proxy itself"
  return room ?? "V8, for Node and undici"
}

export interface Sum {
  readonly name: string
  readonly bytes: number
  readonly objects: number
}

/** Sums by a name, the largest first. */
export const sums = (all: ReadonlyArray<Allocated>, nameOf: (one: Allocated) => string): ReadonlyArray<Sum> =>
  [...Map.groupBy(all, nameOf)].map(([name, group]) => ({
    name,
    bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
    objects: group.reduce((sum, { objects }) => sum + objects, 0),
  })).toSorted((a, b) => b.bytes - a.bytes)

/** Whether the router has allocated it: `src/`, or Effect and V8 for it. */
export const isRouters = (one: Allocated): boolean =>
  one.caller !== undefined && !/^node(:|_modules\/undici\/)/.test(one.script)
