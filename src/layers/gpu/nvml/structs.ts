/**
 * Sizes, offsets and codes of the C interface. Source: nvml.h, API version 13 (NVIDIA/go-nvml, commit 2f9e261). The
 * fake library of the tests is compiled against its own declarations and does not compile if these differ.
 *
 * @since 0.1.0
 */

/** nvmlMemory_t: `used` includes the memory that the driver keeps for itself. @category constants @since 0.1.0 */
export const memoryV1 = { size: 24, total: 0, free: 8, used: 16 } as const

/**
 * nvmlMemory_v2_t. Its version is its size with 2 in the top byte; the library answers a plain 2 with "function not
 * found".
 *
 * @category constants
 * @since 0.1.0
 */
export const memoryV2 = { size: 40, version: 0, total: 8, reserved: 16, free: 24, used: 32, v: 40 | (2 << 24) } as const

/**
 * nvmlUtilization_t. `gpu` is a share of time. The field beside it is about memory bandwidth, not about used memory.
 *
 * @category constants
 * @since 0.1.0
 */
export const utilization = { size: 8, gpu: 0 } as const

/** nvmlTemperature_v1_t. @category constants @since 0.1.0 */
export const temperature = { size: 12, version: 0, sensor: 4, celsius: 8, v: 12 | (1 << 24) } as const

/** nvmlProcessInfo_t of the `_v3` calls. @category constants @since 0.1.0 */
export const processInfo = { size: 24, pid: 0, used: 8 } as const

/** nvmlEventData_t. @category constants @since 0.1.0 */
export const eventData = { size: 32, device: 0, type: 8, data: 16, gpuInstance: 24 } as const

/** nvmlEventTypeXidCriticalError. @category constants @since 0.1.0 */
export const eventXid = 8n

/** Means "the whole GPU" in an event. @category constants @since 0.1.0 */
export const noInstance = 0xffffffff

/** NVML_INIT_FLAG_NO_GPUS: initialising succeeds on a machine without GPUs. @category constants @since 0.1.0 */
export const initNoGpus = 1

/** Size of text buffers; older headers need less. @category constants @since 0.1.0 */
export const textSize = 96

/** nvmlReturn_t: the codes that are treated specially. @category constants @since 0.1.0 */
export const rc = {
  ok: 0,
  invalidArgument: 2,
  notSupported: 3,
  noPermission: 4,
  notFound: 6,
  tooSmall: 7,
  driverNotLoaded: 9,
  timeout: 10,
  libraryNotFound: 12,
  functionNotFound: 13,
  lost: 15,
  resetRequired: 16,
  blocked: 17,
  mismatch: 18,
  versionMismatch: 25,
  noGpus: 28,
  unknown: 999,
} as const

const words: Readonly<Record<number, string>> = {
  1: "not initialised",
  2: "invalid argument",
  3: "not supported",
  4: "no permission",
  6: "not found",
  7: "buffer too small",
  9: "driver not loaded",
  10: "timed out",
  12: "library not found",
  13: "function not found",
  15: "GPU is lost",
  16: "GPU needs a reset",
  17: "blocked by the operating system or a control group",
  18: "driver and library have different versions",
  20: "out of memory",
  25: "version mismatch",
  28: "no GPUs",
  999: "unknown error",
}

/** A code in words. @category combinators @since 0.1.0 */
export const describe = (code: number): string => `${words[code] ?? "error"} (${code})`

const tags: Readonly<Record<number, string>> = {
  [rc.notSupported]: "NotSupported",
  [rc.noPermission]: "PermissionDenied",
  [rc.driverNotLoaded]: "DriverNotLoaded",
  [rc.timeout]: "Timeout",
  [rc.libraryNotFound]: "LibraryMissing",
  [rc.functionNotFound]: "SymbolMissing",
  [rc.lost]: "DeviceLost",
  [rc.resetRequired]: "DeviceLost",
  [rc.blocked]: "PermissionDenied",
  [rc.mismatch]: "DriverMismatch",
}

/** The tag of the `GpuProbeError` reason for a code. @category combinators @since 0.1.0 */
export const tagOf = (code: number): string => tags[code] ?? "Failed"
