/**
 * Counts what a process allocates. Node loads it before the program that is measured (`--import`), and it does what the
 * parent asks over the IPC channel. Needs `--expose-gc`.
 */
import { writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import process from "node:process"
import { GCProfiler, getHeapStatistics, writeHeapSnapshot } from "node:v8"

/** Bytes between `begin` and `end`. */
export interface Counted {
  /** All objects of the heap, also those that are garbage by now. */
  readonly allocated: number
  /** What scavenges moved to the old generation: it was in use at two scavenges. */
  readonly promoted: number
  /** What was in use in the young generation after a scavenge, as mean. */
  readonly survived: number
  /** Buffers outside the heap: those that are in use now, less those of before. */
  readonly buffers: number
  readonly scavenges: number
  /** Collections of the old generation. With one, `promoted` and `buffers` say little. */
  readonly collections: number
}

/** What the parent can ask for. */
export interface Commands {
  readonly collect: () => void
  readonly begin: () => void
  readonly end: () => Counted
  /** From now on every object is counted for the functions that made it, which is slow. */
  readonly track: () => Promise<void>
  /** Writes what `track` has counted to a file. */
  readonly tracked: (file: string) => Promise<void>
  readonly snapshot: (file: string) => void
}

export interface Ask {
  readonly id: number
  readonly name: keyof Commands
  readonly file?: string | undefined
}

export interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly failed?: string
}

interface Spaces {
  readonly heapSpaceStatistics: ReadonlyArray<{ readonly spaceName: string; readonly spaceUsedSize: number }>
}

const young = /^new_/
const usedIn = ({ heapSpaceStatistics }: Spaces, isYoung: boolean): number =>
  heapSpaceStatistics.reduce(
    (sum, { spaceName, spaceUsedSize }) => young.test(spaceName) === isYoung ? sum + spaceUsedSize : sum,
    0,
  )

const collect = (): void => {
  // The second one frees what finalizers of the first one let go of.
  for (let i = 0; i < 2; i++) (globalThis as { readonly gc?: () => void }).gc?.()
}

let profiler: GCProfiler
let before = { heap: 0, buffers: 0 }
const read = () => ({ heap: getHeapStatistics().used_heap_size, buffers: process.memoryUsage().arrayBuffers })

/** What was in use grows by what is allocated, until a collection: the growth between collections is everything. */
const counted = (): Counted => {
  const after = read()
  const { statistics } = profiler.stop()!
  let [allocated, promoted, survived, scavenges, heap] = [0, 0, 0, 0, before.heap]
  for (const { afterGC, beforeGC, gcType } of statistics) {
    allocated += beforeGC.heapStatistics.usedHeapSize - heap
    heap = afterGC.heapStatistics.usedHeapSize
    if (gcType !== "Scavenge") continue
    scavenges++
    promoted += usedIn(afterGC, false) - usedIn(beforeGC, false)
    survived += usedIn(afterGC, true)
  }
  return {
    allocated: allocated + after.heap - heap,
    promoted,
    survived: scavenges === 0 ? 0 : survived / scavenges,
    buffers: after.buffers - before.buffers,
    scavenges,
    collections: statistics.length - scavenges,
  }
}

let session: Session
let parts: Array<string> = []

const commands: Commands = {
  collect,
  begin: () => {
    profiler = new GCProfiler()
    profiler.start()
    before = read()
  },
  end: counted,
  track: async () => {
    session = new Session()
    session.connect()
    parts = []
    session.on("HeapProfiler.addHeapSnapshotChunk", ({ params }) => parts.push(params.chunk))
    await session.post("HeapProfiler.startTrackingHeapObjects", { trackAllocations: true })
  },
  tracked: async (file) => {
    await session.post("HeapProfiler.stopTrackingHeapObjects", { reportProgress: false })
    writeFileSync(file, parts.join(""))
    session.disconnect()
  },
  snapshot: (file) => void writeHeapSnapshot(file),
}

const answer = async ({ file = "", id, name }: Ask): Promise<Answer> => {
  try {
    return { id, value: await commands[name](file) }
  } catch (error) {
    return { id, failed: String(error) }
  }
}

process.on("message", (ask: Ask) => {
  // Other messages are for the program itself.
  if (ask.name in commands) void answer(ask).then((reply) => process.send?.(reply))
})
// The channel must not keep the process alive.
process.channel?.unref()
