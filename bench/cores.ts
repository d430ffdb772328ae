/** Chooses the core of each process. A proxy that shares a core with its load measures the scheduler. */
import { readFileSync } from "node:fs"
import { output, which } from "./processes.ts"

export interface Cores {
  readonly load: string
  readonly upstream: string
  readonly proxy: string
  readonly all: string
}

const allowed = (): ReadonlyArray<number> => {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? ""
  return list.split(",").flatMap((range) => {
    const [from, to = from] = range.split("-").map(Number)
    return Array.from({ length: to! - from! + 1 }, (_, index) => from! + index)
  })
}

/**
 * Pins this process, and with it the load, to the first core that it may use. The upstream gets a core of its own where
 * there are three. `undefined` where cores cannot be chosen.
 */
export const pin = async (): Promise<Cores | undefined> => {
  const taskset = which("taskset")
  if (process.platform !== "linux" || taskset === undefined) return undefined
  const cores = allowed()
  if (cores.length < 2) return undefined
  const [load, proxy, upstream = load] = cores.map(String)
  await output({ file: taskset, args: ["-acp", load!, String(process.pid)] })
  return { load: load!, proxy: proxy!, upstream: upstream!, all: cores.join(",") }
}
