/**
 * How much memory this process can still take: what the kernel calls available, within the limits of every control
 * group around the process. Node's `process.constrainedMemory` gives neither the usage nor the groups above.
 *
 * Sources: proc_meminfo(5), cgroups(7), and the kernel's cgroup-v1/memory and cgroup-v2 documents.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem, Option } from "effect"
import * as Reading from "./reading.ts"

/** The bound of one control group, in bytes; none is unknown. @category models @since 0.1.0 */
interface Room {
  readonly limit: number
  readonly free: Option.Option<number>
}

interface Hierarchy {
  readonly limit: string
  readonly usage: string
  /**
   * The key in `memory.stat` for page cache that was not used lately. The kernel gives it back before it refuses
   * memory. Ollama maps its weights, so it can be most of the usage.
   */
  readonly inactive: string
}

const v2: Hierarchy = { limit: "memory.max", usage: "memory.current", inactive: "inactive_file" }
const v1: Hierarchy = {
  limit: "memory.limit_in_bytes",
  usage: "memory.usage_in_bytes",
  inactive: "total_inactive_file",
}

/** A `key value` or `key: value kB` line of a kernel file, in bytes. */
const field = (text: string, key: string): number | undefined => {
  const found = new RegExp(`^${key}:?\\s+(\\d+)( kB)?$`, "m").exec(text)
  return found === null ? undefined : Number(found[1]) * (found[2] === undefined ? 1 : 1024)
}

/**
 * Where a control group hierarchy is mounted, and which of its groups is mounted there: in a container often not the
 * top one.
 */
const mountOf = (mountinfo: string, version: 1 | 2): { readonly at: string; readonly root: string } | undefined => {
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ")
    const [, , , root, at] = before.split(" ")
    const [type, , options = ""] = after.split(" ")
    const fits = version === 2 ? type === "cgroup2" : type === "cgroup" && options.split(",").includes("memory")
    if (fits && root !== undefined && at !== undefined) return { at, root }
  }
  return undefined
}

/** The group of this process in a hierarchy, from /proc/self/cgroup. */
const pathOf = (cgroup: string, version: 1 | 2): string | undefined => {
  for (const line of cgroup.split("\n")) {
    const [id, controllers = "", ...rest] = line.split(":")
    const fits = version === 2 ? id === "0" && controllers === "" : controllers.split(",").includes("memory")
    if (fits) return rest.join(":")
  }
  return undefined
}

/** The folders of the group and of all groups above it that are visible here. */
const folders = (mount: { readonly at: string; readonly root: string }, path: string): ReadonlyArray<string> => {
  const root = mount.root === "/" ? "" : mount.root
  // A path outside of the mount is the host's view; the mount is then this container's own group.
  const inside = path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : ""
  const parts = inside.split("/").filter((part) => part !== "" && part !== "..")
  return [mount.at, ...parts.map((_, index) => `${mount.at}/${parts.slice(0, index + 1).join("/")}`)]
}

/**
 * Total and free memory for this process; none where there is no /proc.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (root: string): Effect.fn.Return<
  Option.Option<Reading.Memory>,
  never,
  FileSystem.FileSystem
> {
  const files = yield* FileSystem.FileSystem
  const text = (path: string) => Effect.option(files.readFileString(root + path))

  const meminfo = yield* text("/proc/meminfo")
  if (Option.isNone(meminfo)) return Option.none()

  const roomIn = Effect.fnUntraced(function* (folder: string, names: Hierarchy) {
    const limit = Number(Option.getOrElse(yield* text(`${folder}/${names.limit}`), () => "max"))
    const stat = Option.getOrElse(yield* text(`${folder}/memory.stat`), () => "")
    // Version 1 also reports the limit of groups that are not mounted here.
    const above = names === v1 ? field(stat, "hierarchical_memory_limit") ?? Infinity : Infinity
    const least = Math.min(Number.isFinite(limit) ? limit : Infinity, above)
    // Version 1 writes "no limit" as the largest multiple of the page size.
    if (!Number.isSafeInteger(least)) return undefined
    const usage = Number(Option.getOrElse(yield* text(`${folder}/${names.usage}`), () => "unknown"))
    const taken = usage - (field(stat, names.inactive) ?? 0)
    return { limit: least, free: Number.isFinite(taken) ? Option.some(Math.max(0, least - taken)) : Option.none() }
  })

  const rooms: Array<Room> = []
  const cgroup = Option.getOrElse(yield* text("/proc/self/cgroup"), () => "")
  const mountinfo = Option.getOrElse(yield* text("/proc/self/mountinfo"), () => "")
  for (const version of [1, 2] as const) {
    const mount = mountOf(mountinfo, version)
    const path = pathOf(cgroup, version)
    if (mount === undefined || path === undefined) continue
    for (const folder of folders(mount, path)) {
      const room = yield* roomIn(folder, version === 1 ? v1 : v2)
      if (room !== undefined) rooms.push(room)
    }
  }

  const physical = field(meminfo.value, "MemTotal")
  // Not MemFree: that leaves out memory that the kernel would give back.
  const available = field(meminfo.value, "MemAvailable")
  const total = physical === undefined ? undefined : Math.min(physical, ...rooms.map(({ limit }) => limit))
  // If one bound cannot be read, free is unknown: leaving that bound out would report too much.
  const known = available !== undefined && total !== undefined && rooms.every(({ free }) => Option.isSome(free))
  const free = known
    ? Math.min(available, total, ...rooms.map((room) => Option.getOrElse(room.free, () => 0)))
    : undefined
  return Option.some(
    Reading.memory(total, free, total === undefined || free === undefined ? undefined : total - free),
  )
})
