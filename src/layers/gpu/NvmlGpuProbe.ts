/**
 * NVIDIA GPUs through the driver's management library (NVML), called from a helper process.
 *
 * @since 0.1.0
 */
import { Clock, Context, Duration, Effect, FileSystem, Layer, Option } from "effect"
import process from "node:process"
import { GpuProbe, type GpuReading, type GpuReadings, Healthy, Unhealthy, unknown } from "../../services/GpuProbe.ts"
import * as Child from "./nvml/child.ts"
import * as Client from "./nvml/client.ts"
import type { RawDevice, RawDriver } from "./nvml/protocol.ts"
import * as Xids from "./nvml/xids.ts"
import * as SharedRead from "./probes/sharedRead.ts"
import * as Reading from "./probes/reading.ts"
import * as Unified from "./probes/unified.ts"
import * as Visible from "./probes/visible.ts"

/**
 * How the library is found and called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Files to try, in order. Defaults to `libnvidia-ml.so.1`, found by the loader, and then the file of WSL. */
  readonly libraries?: ReadonlyArray<string> | undefined
  /** Limit for one read; twice this while the helper process starts. Defaults to 1 second. */
  readonly deadline?: Duration.Input | undefined
  /**
   * Limit for loading and initialising the library, which takes seconds where no process holds the GPU open. Reads in
   * the meantime time out. Defaults to 10 seconds.
   */
  readonly openDeadline?: Duration.Input | undefined
  /**
   * Pause before a new helper is started after one failed. It doubles each time, up to a minute. Defaults to 1 second.
   */
  readonly backoff?: Duration.Input | undefined
  /** Whether to list the processes on each device. Defaults to `false`. */
  readonly processes?: boolean | undefined
  /** The devices that models may use, in the format of `CUDA_VISIBLE_DEVICES`. Defaults to that variable. */
  readonly visible?: string | undefined
  /**
   * Xid error numbers that say nothing about the device. Defaults to those of applications: 13, 31, 43, 45, 68, 109.
   */
  readonly xidsIgnored?: ReadonlySet<number> | undefined
  /** How long any other Xid makes a device unhealthy. Defaults to infinity: until this layer is built again. */
  readonly xidHold?: Duration.Input | undefined
  /** Names of devices that share the system's memory. Defaults to a list of NVIDIA devices. */
  readonly unified?: RegExp | undefined
  /** Additional environment variables of the helper process, such as `LD_LIBRARY_PATH`. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /**
   * The command that runs `nvml/helperProcess.ts`, for programs that are compiled into one file. Defaults to the
   * runtime of this process.
   */
  readonly helper?: readonly [string, ...ReadonlyArray<string>] | undefined
  /** Folder that contains `/proc` and `/sys`. Defaults to `""`, the real root. */
  readonly root?: string | undefined
}

const key = "llamero/layers/gpu/NvmlGpuProbe/NvmlHelper"
const Base: Context.ServiceClass<NvmlHelper, typeof key, Service> = Context.Service<NvmlHelper, Service>()(key)

/**
 * Versions of NVIDIA's driver, as the library tells them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Driver {
  /** Such as `580.95.05`. */
  readonly version: Option.Option<string>
  /** The newest version of CUDA that the driver can run, such as `13.0`. */
  readonly cuda: Option.Option<string>
}

/**
 * The process that calls the library, for tests and diagnosis.
 *
 * @category services
 * @since 0.1.0
 */
export class NvmlHelper extends Base {}

/** The members of `NvmlHelper`. @category services @since 0.1.0 */
export interface Service {
  /** None while no helper runs. */
  readonly pid: Effect.Effect<Option.Option<number>>
  /** As the last read that succeeded found it. None before the first one. */
  readonly driver: Effect.Effect<Option.Option<Driver>>
}

const source = "nvml"

const defaultLibraries = ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"]

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const files = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const deadline = Duration.fromInputUnsafe(options?.deadline ?? "1 second")
  const client = yield* Client.make({
    source,
    libraries: options?.libraries ?? defaultLibraries,
    processes: options?.processes ?? false,
    start: () => Child.start(options?.env ?? {}, options?.helper),
    deadline,
    openDeadline: Duration.fromInputUnsafe(options?.openDeadline ?? "10 seconds"),
    backoff: Duration.fromInputUnsafe(options?.backoff ?? "1 second"),
    backoffMax: Duration.minutes(1),
  })
  const hold = Duration.fromInputUnsafe(options?.xidHold ?? Duration.infinity)
  const xids = Xids.make(options?.xidsIgnored ?? Xids.ofApplications, Duration.toMillis(hold))
  const visible = options?.visible ?? process.env["CUDA_VISIBLE_DEVICES"]
  const unified = options?.unified ?? Unified.names

  const reading = (raw: RawDevice): Effect.Effect<GpuReading, never, FileSystem.FileSystem> => {
    const device = toReading(raw, xids.fault(raw.uuid, clock.currentTimeMillisUnsafe()))
    const shares = raw.kind === "gpu" && raw.fault === null && (raw.unified || unified.test(raw.name))
    return shares ? Unified.withSystemMemory(device, options?.root ?? "") : Effect.succeed(device)
  }

  let driver = Option.none<Driver>()
  const once = Effect.gen(function* () {
    const answer = yield* client.ask
    driver = Option.some(toDriver(answer.driver))
    for (const { uuid, xid } of answer.xids) xids.note(uuid, xid, clock.currentTimeMillisUnsafe())
    const devices = yield* Effect.forEach(answer.devices, reading)
    const selected = Visible.select(devices, visible, process.env["CUDA_DEVICE_ORDER"])
    return { source, passedOver: [], devices: selected } satisfies GpuReadings
  }).pipe(Effect.provideService(FileSystem.FileSystem, files))

  const limit = () => client.opened() ? deadline : Duration.times(deadline, 2)
  const read = yield* SharedRead.make(source, limit, once)
  const probe = GpuProbe.of({
    source,
    read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }),
  })
  return Context.make(GpuProbe, probe).pipe(
    Context.add(NvmlHelper, { pid: client.pid, driver: Effect.sync(() => driver) }),
  )
})

/**
 * Reads through `libnvidia-ml.so.1`.
 *
 * **Details**
 *
 * A driver that hangs blocks the calling thread for ever. It also keeps `process.exit` from returning, and four such
 * calls stop all file reads of a Node process. Therefore a helper process makes the calls. It runs the same runtime as
 * this process. On Node it needs the optional package `koffi`; on Deno this process needs the permission to run it, and
 * the helper gets `--allow-ffi`.
 *
 * The first read starts the helper, which keeps the library open. A helper that does not answer in time is killed, and
 * a new one is started after a pause that doubles. While a killed helper is not gone, no new one is started.
 *
 * - Memory is read by the second version of the call, or by the first where that fails. Where neither is supported, the
 *   memory is the system's.
 * - A GPU that is cut into MIG instances is listed as its instances.
 * - A GPU is unhealthy when it is lost, when its memory cannot be read, or after an Xid that is not an application's.
 *
 * **Gotchas**
 *
 * In a container, process ids are the host's. On GPUs whose memory is a NUMA node of the system (GH200, GB200), free is
 * what the operating system counts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<GpuProbe | NvmlHelper, never, FileSystem.FileSystem> =>
  Layer.effectContext(make(options))

const toDriver = ({ cuda, version }: RawDriver): Driver => ({
  version: Option.fromNullOr(version),
  cuda: Option.fromNullOr(cuda),
})

const toReading = (raw: RawDevice, xid: string | undefined): GpuReading => {
  const fault = raw.fault ?? xid
  return {
    ...unknown(raw.uuid, raw.name, raw.kind),
    ...Reading.memory(raw.total, raw.free, raw.used),
    utilisation: Reading.percent(raw.percent),
    temperature: Reading.celsius(raw.celsius),
    power: Reading.watts(raw.milliwatts === null ? null : raw.milliwatts / 1000),
    health: fault !== undefined
      ? Option.some(new Unhealthy({ reason: fault }))
      : raw.watched
      ? Option.some(new Healthy({}))
      : Option.none(),
    computeCapability: Option.fromNullOr(raw.capability),
    processes: Option.map(
      Option.fromNullOr(raw.processes),
      (list) => list.map(({ pid, used }) => ({ pid, used: Reading.bytes(used) })),
    ),
  }
}
