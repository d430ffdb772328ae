/**
 * What a request allocates, and for whom: `npm run bench:allocations [-- --functions 40] [-- --only llamero]`. llamero,
 * a plain `node:http` proxy and a plain undici proxy are counted in the same way, at 32 connections.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { type Load, loads, send } from "./allocations/load.ts"
import * as Measured from "./allocations/measured.ts"
import { allocator, isRouters, sums } from "./allocations/rooms.ts"
import { kept } from "./allocations/snapshot.ts"
import { type Allocated, allocations, where } from "./allocations/trace.ts"

const { values } = parseArgs({
  options: { functions: { type: "string", default: "25" }, only: { type: "string" } },
})
const connections = 32
const folder = mkdtempSync(join(tmpdir(), "llamero-allocations-"))
const upstream = await Measured.startUpstream()
const kib = (bytes: number): string => (bytes / 1024).toFixed(1)
const each = (value: number, count: number): string => (value / count).toFixed(value / count < 10 ? 1 : 0)

/** All bytes, in the program as it runs; the slower count by function would change them a little. */
const totals = async (program: Measured.Program, load: Load): Promise<void> => {
  const measured = await Measured.start(program, Measured.asShipped, upstream.port)
  const count = load.counted * 5
  await send(measured.port, load, connections, load.warm)
  await measured.ask("collect")
  await measured.ask("begin")
  await send(measured.port, load, connections, count)
  const { allocated, promoted, scavenges, survived } = await measured.ask("end")
  await measured.ask("collect")
  const before = await snapshotOf(measured, "before")
  await send(measured.port, load, connections, count)
  await measured.ask("collect")
  const grown = kept(before, await snapshotOf(measured, "after"))
  await measured.stop()
  const bytes = `${each(allocated, count)} | ${each(promoted, count)} | ${kib(survived)} | ${scavenges}`
  console.log(`| ${load.name} | ${program.name} | ${bytes} | ${each(grown.bytes, count)} ${grown.kinds} |`)
}

const snapshotOf = async (measured: Measured.Measured, name: string): Promise<string> => {
  const file = join(folder, `${name}.heapsnapshot`)
  await measured.ask("snapshot", file)
  return file
}

/** Every object, by the function that has made it. */
const tracked = async (program: Measured.Program, load: Load): Promise<ReadonlyArray<Allocated>> => {
  const measured = await Measured.start(program, Measured.roomy, upstream.port)
  await send(measured.port, load, connections, load.warm)
  await measured.ask("collect")
  await measured.ask("track")
  await send(measured.port, load, connections, load.counted)
  const file = join(folder, "tracked.heapsnapshot")
  await measured.ask("tracked", file)
  await measured.stop()
  return allocations(file)
}

const printSums = (title: string, all: ReadonlyArray<Allocated>, count: number): void => {
  console.log(`\n| ${title} | bytes a request | objects |\n| --- | ---: | ---: |`)
  for (const { bytes, name, objects } of sums(all, allocator)) {
    if (bytes / count >= 1) console.log(`| ${name} | ${each(bytes, count)} | ${each(objects, count)} |`)
  }
}

/** The functions of `src/`, with what V8 and Effect make for them. */
const printFunctions = (all: ReadonlyArray<Allocated>, count: number): void => {
  console.log(`\n| function | bytes a request | objects |\n| --- | ---: | ---: |`)
  const own = sums(all.filter(isRouters), (one) => one.caller ?? where(one))
  for (const { bytes, name, objects } of own.slice(0, Number(values.functions))) {
    console.log(`| ${name} | ${each(bytes, count)} | ${each(objects, count)} |`)
  }
}

const programs = [Measured.llamero, Measured.nodeHttp, Measured.undici]
  .filter(({ name }) => values.only === undefined || values.only === name)
try {
  console.log(
    "| load | program | bytes a request | promoted | KiB in use after a scavenge | scavenges | kept for good |\n" +
      "| --- | --- | ---: | ---: | ---: | ---: | --- |",
  )
  for (const load of loads) for (const program of programs) await totals(program, load)
  for (const load of loads) {
    for (const program of programs) {
      const all = await tracked(program, load)
      printSums(`${load.name}, ${program.name}`, all, load.counted)
      if (program === Measured.llamero) printFunctions(all, load.counted)
    }
  }
} finally {
  await upstream.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
