/**
 * NVIDIA GPUs as the tool `nvidia-smi` prints them, for machines on which the library cannot be called. It costs a
 * process for each read.
 *
 * Its table is split at commas by hand, not by a CSV library: `nvidia-smi` never quotes a cell.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer, Option } from "effect"
import process from "node:process"
import {
  DeviceLost,
  DriverMismatch,
  DriverNotLoaded,
  Failed,
  GpuProbe,
  GpuProbeError,
  type GpuProbeReason,
  type GpuReading,
  type GpuReadings,
  LibraryMissing,
  NotSupported,
  PermissionDenied,
  SymbolMissing,
  Timeout,
  unknown,
} from "../../services/GpuProbe.ts"
import * as SharedRead from "./probes/sharedRead.ts"
import * as Reading from "./probes/reading.ts"
import * as Run from "./probes/runProgram.ts"
import * as Unified from "./probes/unified.ts"
import * as Visible from "./probes/visible.ts"

/**
 * How the tool is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Defaults to `"nvidia-smi"`. */
  readonly command?: string | undefined
  /** A run that takes longer is killed. Defaults to 2 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** The devices that models may use, in the format of `CUDA_VISIBLE_DEVICES`. Defaults to that variable. */
  readonly visible?: string | undefined
  /** Names of devices that share the system's memory. Defaults to a list of NVIDIA devices. */
  readonly unified?: RegExp | undefined
  /** Folder that contains `/proc` and `/sys`. Defaults to `""`, the real root. */
  readonly root?: string | undefined
}

const source = "nvidia-smi"

const base = "index,uuid,name,memory.total,memory.used,memory.free,utilization.gpu,temperature.gpu,power.draw"
const format = "--format=csv,noheader,nounits"

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const files = yield* FileSystem.FileSystem
  const command = options?.command ?? "nvidia-smi"
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "2 seconds")
  const visible = options?.visible ?? process.env["CUDA_VISIBLE_DEVICES"]
  const unified = options?.unified ?? Unified.names
  const fail = (reason: GpuProbeReason) => new GpuProbeError({ source, reason })
  const stuck = new Timeout({ description: `an earlier ${command} was killed and has not gone: the driver hangs` })
  const start = Run.make(command, () => fail(stuck))

  const query = (fields: string) =>
    start([`--query-gpu=${fields}`, format]).pipe(
      Effect.mapError((error) => "_tag" in error ? error : fail(notStarted(command, error))),
    )

  const once = Effect.gen(function* () {
    const full = yield* query(`${base},mig.mode.current`)
    // Drivers from before MIG refuse the whole query because of the one field that they do not know.
    const ended = /not a valid field/i.test(full.stdout + full.stderr) ? yield* query(base) : full
    if (!usable(ended)) return yield* fail(reasonOf(ended))
    const devices = yield* Effect.forEach(
      parse(ended.stdout),
      (device) =>
        unified.test(device.name) ? Unified.withSystemMemory(device, options?.root ?? "") : Effect.succeed(device),
    )
    const selected = Visible.select(devices, visible, process.env["CUDA_DEVICE_ORDER"])
    return { source, passedOver: [], devices: selected } satisfies GpuReadings
  }).pipe(
    Effect.provideService(FileSystem.FileSystem, files),
    Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(fail(SharedRead.timeout(timeout))) }),
  )

  const read = yield* SharedRead.make(source, timeout, once)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Runs `nvidia-smi --query-gpu` for each read. On a healthy machine that takes 10 to 20 ms.
 *
 * **Details**
 *
 * Memory comes in MiB. Text in place of a number (`[N/A]`, `[Unknown Error]`, …) is none. A GPU that is cut into MIG
 * instances is listed without memory, because the table does not show the memory of each instance.
 *
 * **Gotchas**
 *
 * A process that hangs in the driver cannot be killed. It is left behind, and no second one is started while it is
 * there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<GpuProbe, never, FileSystem.FileSystem> =>
  Layer.effect(GpuProbe, make(options))

/** Reads the lines of the table. */
const parse = (csv: string): ReadonlyArray<GpuReading> =>
  csv.split("\n").map((line) => line.split(",").map((cell) => cell.trim())).filter((cells) => cells.length >= 9).map(
    ([, uuid = "", name = "", total, used, free, utilisation, temperature, power, mig]) => ({
      ...unknown(uuid, name, "gpu"),
      ...(mig === "Enabled" ? Reading.noMemory : Reading.memory(mebibytes(total), mebibytes(free), mebibytes(used))),
      utilisation: Reading.percent(numeric(utilisation)),
      temperature: Reading.celsius(numeric(temperature)),
      power: Reading.watts(numeric(power)),
    }),
  )

const numeric = (cell: string | undefined): number | undefined =>
  cell !== undefined && /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : undefined

const mebibytes = (cell: string | undefined): number | undefined =>
  Option.getOrUndefined(Option.map(Option.fromUndefinedOr(numeric(cell)), (mib) => Math.round(mib * 1024 * 1024)))

/** Status 14 is a warning about a corrupt infoROM; the table is printed anyway. An empty table is an answer too. */
const usable = ({ status, stdout }: Run.Ended): boolean =>
  (status === 0 || status === 14) &&
  (parse(stdout).length > 0 || /no devices were found/i.test(stdout) || stdout.trim() === "")

/**
 * The exit statuses of the tool are the codes of the library, where the tool keeps to them. Its messages say more, so
 * they are looked at first. See RETURN VALUE in nvidia-smi(1).
 */
const reasonOf = ({ status, stderr, stdout }: Run.Ended): GpuProbeReason => {
  const said = `${stdout}\n${stderr}`.trim().split("\n")[0]?.trim() ?? ""
  const description = said === "" ? `ended with status ${status}` : said
  if (/version mismatch/i.test(said) || status === 18) return new DriverMismatch({ description })
  if (/couldn't communicate with the NVIDIA driver/i.test(said) || status === 9) {
    return new DriverNotLoaded({ description })
  }
  if (/insufficient permissions/i.test(said) || status === 4) return new PermissionDenied({ description })
  if (/gpu is lost/i.test(said) || status === 15) return new DeviceLost({ description })
  if (status === 12) return new LibraryMissing({ description })
  if (status === 13) return new SymbolMissing({ description })
  if (status === 3) return new NotSupported({ description })
  return new Failed({ code: Option.fromNullOr(status), description })
}

const notStarted = (command: string, { code, message }: Run.NotStarted): GpuProbeReason => {
  if (code === "ENOENT") return new LibraryMissing({ description: `${command} is not on this machine` })
  if (code === "EACCES" || code === "EPERM" || code === "NotCapable") {
    return new PermissionDenied({ description: message })
  }
  return new Failed({ code: Option.none(), description: message })
}
