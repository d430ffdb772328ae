/**
 * NVIDIA GPUs as the tool `nvidia-smi` prints them, for machines on which the library cannot be called. It costs a
 * process for each read.
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
} from "../../services/GpuProbe.ts"
import * as SharedRead from "./probes/sharedRead.ts"
import * as Run from "./probes/runProgram.ts"
import * as Table from "./probes/smiTable.ts"
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

const format = "--format=csv,noheader,nounits"

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const files = yield* FileSystem.FileSystem
  const command = options?.command ?? "nvidia-smi"
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "2 seconds")
  const visible = options?.visible ?? process.env["CUDA_VISIBLE_DEVICES"]
  const unified = options?.unified ?? Unified.names
  const fail = (reason: GpuProbeReason) => new GpuProbeError({ source, reason })
  const stuck = new Timeout({ description: `an earlier ${command} was killed and has not gone: the driver hangs` })
  const known: Table.Known = new Map()
  const start = Run.make(command, () => fail(stuck))

  const query = (fields: ReadonlyArray<string>) =>
    start([`--query-gpu=${fields.join(",")}`, format]).pipe(
      Effect.mapError((error) => "_tag" in error ? error : fail(notStarted(command, error))),
    )

  const once = Effect.gen(function* () {
    let fields: ReadonlyArray<string> = [...Table.base, ...Table.newer]
    let ended = yield* query(fields)
    // Older drivers refuse the whole query because of the one field that they do not know, and name that field.
    for (let left = Table.newer.length; left > 0; left--) {
      const refused = Table.refused(ended)
      if (refused === undefined) break
      fields = fields.filter((field) => !refused.includes(field))
      ended = yield* query(fields)
    }
    const table = Table.parse(`${ended.stdout}\n${ended.stderr}`, fields, known)
    if (!usable(ended, table)) return yield* fail(reasonOf(ended))
    const devices = yield* Effect.forEach(
      table,
      (device) =>
        unified.test(device.name) && Option.isNone(device.health)
          ? Unified.withSystemMemory(device, options?.root ?? "")
          : Effect.succeed(device),
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
 * A GPU that is lost is unhealthy. The others are read as usual, also if the tool then ends with an error.
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

/**
 * Whether the table counts, whatever the status: the tool ends with 15 when one of several GPUs is lost, and with 14 to
 * warn of a corrupt infoROM. An empty table is an answer only without an error.
 */
const usable = ({ status, stdout }: Run.Ended, table: ReadonlyArray<GpuReading>): boolean =>
  table.some(({ health, uuid }) => Option.isNone(health) || uuid.startsWith("GPU-")) ||
  ((status === 0 || status === 14) &&
    (table.length > 0 || /no devices were found/i.test(stdout) || stdout.trim() === ""))

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
