/** The fake NVIDIA library: built once for each test file, and controlled by a file. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as Structs from "../../src/layers/gpu/nvml/structs.ts"

const source = resolve(import.meta.dirname!, "fake-nvml/fake_nvml.c")

/** The probe's constants for the interface, which the compiler checks against the C declarations. */
const believed = Object.entries({
  memoryV1: Structs.memoryV1,
  memoryV2: Structs.memoryV2,
  utilization: Structs.utilization,
  temperature: Structs.temperature,
  processInfo: Structs.processInfo,
  eventData: Structs.eventData,
}).flatMap(([struct, fields]) =>
  Object.entries(fields).map(([field, value]) => `-D${`${struct}_${field}`.toUpperCase()}=${value}`)
)

export interface Fake {
  readonly library: string
  /** A library without `_v2` memory and without `TemperatureV`. */
  readonly old: string
  /** A library without the count, which is required. */
  readonly stunted: string
  readonly folder: string
}

/** Why there is no fake library; empty if there is one. */
export let absent = ""

const hasCompiler = spawnSync("cc", ["--version"]).status === 0
if (!hasCompiler) absent = "there is no C compiler (cc) to build the fake NVIDIA library with"

/** Builds it. Fails where there is a compiler that refuses: our constants are then wrong. */
export const build = (): Fake | undefined => {
  if (!hasCompiler) return undefined
  const folder = mkdtempSync(join(tmpdir(), "fake-nvml-"))
  const compile = (name: string, ...flags: ReadonlyArray<string>): string => {
    const out = join(folder, name)
    const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-O1", ...believed, ...flags, "-o", out, source])
    if (status !== 0) throw new Error(`the fake library does not compile:\n${stderr}`)
    return out
  }
  return {
    folder,
    library: compile("libnvidia-ml.so.1"),
    old: compile("libnvidia-ml-old.so.1", "-DWITHOUT_V2"),
    stunted: compile("libnvidia-ml-stunted.so.1", "-DWITHOUT_COUNT"),
  }
}

export const remove = ({ folder }: Fake): void => rmSync(folder, { recursive: true, force: true })

export type State = Readonly<Record<string, string | number>>

const gib = 1024 ** 3

/** `count` cards of 24 GiB, of which 20 are free. */
export const cards = (count: number, more: State = {}): State => ({
  count,
  ...Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      [`${index}.total`, 24 * gib],
      [`${index}.free`, 20 * gib],
      [`${index}.reserved`, gib / 2],
      [`${index}.util`, 37],
      [`${index}.temp`, 61],
      [`${index}.power`, 123_456],
    ]).flat(),
  ),
  ...more,
})

let files = 0

/** A control file of its own: its path, and a function that rewrites it. */
export const script = (
  { folder }: Fake,
  state: State,
): { readonly path: string; readonly set: (state: State) => void } => {
  const path = join(folder, `state-${files++}`)
  const set = (next: State): void => {
    // Replaces the file in one step, because the library reads it while it changes.
    writeFileSync(`${path}.new`, Object.entries(next).map(([key, value]) => `${key} ${value}\n`).join(""))
    renameSync(`${path}.new`, path)
  }
  set(state)
  return { path, set }
}
