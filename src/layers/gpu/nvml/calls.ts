/**
 * The library's calls as functions from handles to values. Buffers, retries and fallbacks are handled here. Runs in the
 * helper process only.
 *
 * @since 0.1.0
 */
import type { Library, Name } from "./library.ts"
import type { RawDevice, RawDriver } from "./protocol.ts"
import * as Struct from "./structs.ts"

/** @category models @since 0.1.0 */
export type Handle = bigint

/** The value of a call, or its error code. @category models @since 0.1.0 */
export type Got<A> = { readonly rc: 0; readonly value: A } | {
  readonly rc: Exclude<number, 0>
  readonly value?: undefined
}

const { rc } = Struct

/** Little-endian, as on every platform that the library exists for. */
const buffer = (size: number) => {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  return {
    bytes,
    setU32: (at: number, value: number) => view.setUint32(at, value, true),
    u32: (at: number) => view.getUint32(at, true),
    i32: (at: number) => view.getInt32(at, true),
    u64: (at: number) => view.getBigUint64(at, true),
  }
}

type Buffer = ReturnType<typeof buffer>

/**
 * Makes a call whose last argument is a new buffer. A function that the library lacks gives the code "function not
 * found".
 */
const into = <A>(
  library: Library,
  name: Name,
  args: ReadonlyArray<number | bigint>,
  size: number,
  decode: (buffer: Buffer) => A,
  prepare?: (buffer: Buffer) => void,
): Got<A> => {
  const call = library[name]
  if (call === undefined) return { rc: rc.functionNotFound }
  const out = buffer(size)
  prepare?.(out)
  const code = call(...args, out.bytes)
  return code === rc.ok ? { rc: 0, value: decode(out) } : { rc: code }
}

const u32 = (out: Buffer): number => out.u32(0)
const u64 = (out: Buffer): bigint => out.u64(0)

/** A larger value means "not available". */
const bytes = (value: bigint): number | null => value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null

/** @category calls @since 0.1.0 */
export const init = (library: Library): number =>
  library.nvmlInitWithFlags?.(Struct.initNoGpus) ?? library.nvmlInit_v2?.() ?? rc.functionNotFound

/** @category calls @since 0.1.0 */
export const count = (library: Library): Got<number> => into(library, "nvmlDeviceGetCount_v2", [], 4, u32)

/** @category calls @since 0.1.0 */
export const handle = (library: Library, index: number): Got<Handle> =>
  into(library, "nvmlDeviceGetHandleByIndex_v2", [index], 8, u64)

/** @category calls @since 0.1.0 */
export const text = (
  library: Library,
  name: "nvmlDeviceGetName" | "nvmlDeviceGetUUID" | "nvmlSystemGetDriverVersion",
  ...device: ReadonlyArray<Handle>
): Got<string> => {
  const out = buffer(Struct.textSize)
  const code = library[name]?.(...device, out.bytes, Struct.textSize) ?? rc.functionNotFound
  if (code !== rc.ok) return { rc: code }
  const end = out.bytes.indexOf(0)
  return { rc: 0, value: new TextDecoder().decode(out.bytes.subarray(0, end < 0 ? undefined : end)) }
}

/** The versions of the driver and of its CUDA, which is 13000 for 13.0. @category calls @since 0.1.0 */
export const driver = (library: Library): RawDriver => {
  const cuda = into(library, "nvmlSystemGetCudaDriverVersion_v2", [], 4, u32).value
  return {
    version: text(library, "nvmlSystemGetDriverVersion").value ?? null,
    cuda: cuda === undefined ? null : `${Math.floor(cuda / 1000)}.${Math.floor((cuda % 1000) / 10)}`,
  }
}

/** @category models @since 0.1.0 */
export interface Memory {
  readonly total: number | null
  readonly free: number | null
  readonly used: number | null
}

/**
 * Memory by the second version of the call, which leaves out of `used` the memory that the driver keeps for itself. By
 * the first version where the driver or library lacks the second; WSL's driver 516.59 answers the second with "unknown
 * error". If both are "not supported", the memory is the system's.
 *
 * @category calls
 * @since 0.1.0
 */
export const memory = (library: Library, device: Handle): Got<Memory> => {
  const read =
    (at: { readonly total: number; readonly free: number; readonly used: number }) => (out: Buffer): Memory => ({
      total: bytes(out.u64(at.total)),
      free: bytes(out.u64(at.free)),
      used: bytes(out.u64(at.used)),
    })
  const { memoryV1, memoryV2 } = Struct
  const second = into(
    library,
    "nvmlDeviceGetMemoryInfo_v2",
    [device],
    memoryV2.size,
    read(memoryV2),
    (out) => out.setU32(memoryV2.version, memoryV2.v),
  )
  const old = [rc.functionNotFound, rc.versionMismatch, rc.notSupported, rc.unknown] as ReadonlyArray<number>
  return old.includes(second.rc)
    ? into(library, "nvmlDeviceGetMemoryInfo", [device], memoryV1.size, read(memoryV1))
    : second
}

/** @category calls @since 0.1.0 */
export const percent = (library: Library, device: Handle): number | null =>
  into(library, "nvmlDeviceGetUtilizationRates", [device], Struct.utilization.size, u32).value ?? null

/** @category calls @since 0.1.0 */
export const celsius = (library: Library, device: Handle): number | null => {
  const { temperature } = Struct
  const current = into(
    library,
    "nvmlDeviceGetTemperatureV",
    [device],
    temperature.size,
    (out) => out.i32(temperature.celsius),
    (out) => out.setU32(temperature.version, temperature.v),
  )
  // Deprecated in version 13 of the interface; older drivers have only this one.
  return current.value ?? into(library, "nvmlDeviceGetTemperature", [device, 0], 4, u32).value ?? null
}

/** @category calls @since 0.1.0 */
export const milliwatts = (library: Library, device: Handle): number | null =>
  into(library, "nvmlDeviceGetPowerUsage", [device], 4, u32).value ?? null

/** The compute capability as one number, `8.6`; null where it is not known. @category calls @since 0.1.0 */
export const capability = (library: Library, device: Handle): number | null => {
  const [major, minor] = [buffer(4), buffer(4)]
  const code = library.nvmlDeviceGetCudaComputeCapability?.(device, major.bytes, minor.bytes)
  return code === rc.ok ? major.u32(0) + minor.u32(0) / 10 : null
}

/** A slot with a MIG instance, whose handle may not be readable. @category models @since 0.1.0 */
export interface Instance {
  readonly slot: number
  readonly handle: Got<Handle>
}

/**
 * The MIG instances of a GPU; no value where it is not cut into any. The code is the one with which the GPU cannot be
 * asked; a GPU without MIG is not an error.
 *
 * @category calls
 * @since 0.1.0
 */
export const instances = (
  library: Library,
  device: Handle,
): { readonly rc: number; readonly value?: ReadonlyArray<Instance> | undefined } => {
  const mode = buffer(4)
  const code = library.nvmlDeviceGetMigMode?.(device, mode.bytes, new Uint8Array(4)) ?? rc.functionNotFound
  if (code !== rc.ok || mode.u32(0) !== 1) return { rc: code }
  const most = into(library, "nvmlDeviceGetMaxMigDeviceCount", [device], 4, u32)
  if (most.value === undefined) return { rc: most.rc, value: [] }
  const found: Array<Instance> = []
  for (let slot = 0; slot < Math.min(most.value, 64); slot++) {
    // An empty slot is "not found". A handle is valid as long as its instance, so handles are read again each time.
    const handle = into(library, "nvmlDeviceGetMigDeviceHandleByIndex", [device, slot], 8, u64)
    if (handle.value !== undefined || isFault(handle.rc)) found.push({ slot, handle })
  }
  return { rc: rc.ok, value: found }
}

/** Whether a slot that cannot be opened has an instance. */
const isFault = (code: number): boolean => code === rc.lost || code === rc.resetRequired || code === rc.unknown

/** @category calls @since 0.1.0 */
export const gpuInstance = (library: Library, device: Handle): number | undefined =>
  into(library, "nvmlDeviceGetGpuInstanceId", [device], 4, u32).value

/** The list may grow between counting and reading, so the buffer has room for more. @category calls @since 0.1.0 */
export const processes = (library: Library, device: Handle): RawDevice["processes"] => {
  const call = library.nvmlDeviceGetComputeRunningProcesses_v3
  const { processInfo } = Struct
  const length = buffer(4)
  for (let attempt = 0, room = 0; attempt < 4; attempt++) {
    const out = buffer(Math.max(1, room) * processInfo.size)
    length.setU32(0, room)
    const code = call?.(device, length.bytes, out.bytes) ?? rc.functionNotFound
    if (code === rc.ok) {
      return Array.from({ length: Math.min(length.u32(0), room) }, (_, index) => ({
        pid: out.u32(index * processInfo.size + processInfo.pid),
        used: bytes(out.u64(index * processInfo.size + processInfo.used)),
      }))
    }
    if (code !== rc.tooSmall) return null
    room = length.u32(0) + 16
  }
  return null
}

/** @category calls @since 0.1.0 */
export const eventSet = (library: Library): Handle | undefined => into(library, "nvmlEventSetCreate", [], 8, u64).value

/** @category models @since 0.1.0 */
export interface Event {
  readonly device: Handle
  readonly type: bigint
  readonly data: bigint
  readonly gpuInstance: number
}

/** The next event that has already happened; does not wait for one. @category calls @since 0.1.0 */
export const event = (library: Library, set: Handle): Got<Event> => {
  const { eventData } = Struct
  const out = buffer(eventData.size)
  const code = library.nvmlEventSetWait_v2?.(set, out.bytes, 0) ?? rc.functionNotFound
  if (code !== rc.ok) return { rc: code }
  return {
    rc: 0,
    value: {
      device: out.u64(eventData.device),
      type: out.u64(eventData.type),
      data: out.u64(eventData.data),
      gpuInstance: out.u32(eventData.gpuInstance),
    },
  }
}
