/**
 * The NVIDIA management library through a foreign function interface: koffi on Node, the built-in one on Deno. Runs in
 * the helper process only.
 *
 * This file and the helper's main loop are the only ones that catch exceptions by hand. Both interfaces throw plain
 * errors without a code, and the helper runs without Effect, which would double its start-up time.
 *
 * @since 0.1.0
 */
import type { Failure } from "./protocol.ts"

/**
 * A device handle is a pointer. Both interfaces pass it as a 64-bit number, so no permission to dereference is needed.
 */
type Parameter = "u64" | "u32" | "i32" | "buffer"

const functions = {
  nvmlInit_v2: [],
  nvmlInitWithFlags: ["u32"],
  nvmlShutdown: [],
  nvmlSystemGetDriverVersion: ["buffer", "u32"],
  nvmlSystemGetCudaDriverVersion_v2: ["buffer"],
  nvmlDeviceGetCount_v2: ["buffer"],
  nvmlDeviceGetHandleByIndex_v2: ["u32", "buffer"],
  nvmlDeviceGetName: ["u64", "buffer", "u32"],
  nvmlDeviceGetUUID: ["u64", "buffer", "u32"],
  nvmlDeviceGetMemoryInfo: ["u64", "buffer"],
  nvmlDeviceGetMemoryInfo_v2: ["u64", "buffer"],
  nvmlDeviceGetUtilizationRates: ["u64", "buffer"],
  nvmlDeviceGetTemperatureV: ["u64", "buffer"],
  nvmlDeviceGetTemperature: ["u64", "i32", "buffer"],
  nvmlDeviceGetPowerUsage: ["u64", "buffer"],
  nvmlDeviceGetComputeRunningProcesses_v3: ["u64", "buffer", "buffer"],
  nvmlDeviceGetMigMode: ["u64", "buffer", "buffer"],
  nvmlDeviceGetMaxMigDeviceCount: ["u64", "buffer"],
  nvmlDeviceGetMigDeviceHandleByIndex: ["u64", "u32", "buffer"],
  nvmlDeviceGetGpuInstanceId: ["u64", "buffer"],
  nvmlDeviceGetCudaComputeCapability: ["u64", "buffer", "buffer"],
  nvmlEventSetCreate: ["buffer"],
  nvmlEventSetFree: ["u64"],
  nvmlDeviceRegisterEvents: ["u64", "u64", "u64"],
  nvmlEventSetWait_v2: ["u64", "buffer", "u32"],
} as const satisfies Record<string, ReadonlyArray<Parameter>>

/** @category models @since 0.1.0 */
export type Name = keyof typeof functions

type Argument = number | bigint | Uint8Array

/**
 * The functions of the table; `undefined` where the file has no such function. Each returns an nvmlReturn_t.
 *
 * @category models
 * @since 0.1.0
 */
export type Library = { readonly [K in Name]: ((...args: ReadonlyArray<Argument>) => number) | undefined }

/** Without these functions nothing can be read. Older libraries lack some of the others. */
const required: ReadonlyArray<Name> = [
  "nvmlInit_v2",
  "nvmlShutdown",
  "nvmlDeviceGetCount_v2",
  "nvmlDeviceGetHandleByIndex_v2",
  "nvmlDeviceGetName",
  "nvmlDeviceGetUUID",
  "nvmlDeviceGetMemoryInfo",
]

/**
 * The first of `paths` that can be loaded, or why none can. A file that exists and cannot be loaded is a better reason
 * than a file that does not exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = async (paths: ReadonlyArray<string>): Promise<Library | Failure> => {
  let worst: Failure = failure("LibraryMissing", "no library was named")
  for (const [index, path] of paths.entries()) {
    const opened = await load(path)
    if (!isFailure(opened)) {
      const missing = required.find((name) => opened[name] === undefined)
      return missing === undefined ? opened : failure("SymbolMissing", `${path} has no ${missing}`)
    }
    if (index === 0 || opened._tag !== "LibraryMissing") worst = opened
  }
  return worst
}

/** @category guards @since 0.1.0 */
export const isFailure = (value: object): value is Failure => "_tag" in value

const load = async (path: string): Promise<Library | Failure> => {
  try {
    return deno === undefined ? await withKoffi(path) : withDeno(deno, path)
  } catch (error) {
    return classify(path, error)
  }
}

const names = Object.keys(functions) as ReadonlyArray<Name>

const koffiTypes = { u64: "uint64", u32: "uint32", i32: "int32", buffer: "void *" } as const

const withKoffi = async (path: string): Promise<Library> => {
  const { default: koffi } = await import("koffi")
  const library = koffi.load(path)
  const bind = (name: Name) => {
    try {
      return library.func(name, "int", functions[name].map((type) => koffiTypes[type]))
    } catch {
      return undefined // "Cannot find function": the library is older than the table.
    }
  }
  return Object.fromEntries(names.map((name) => [name, bind(name)])) as Library
}

/** The part of Deno's interface that is used. The Node build has no type for `Deno`. */
interface Deno {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: ReadonlyArray<Parameter>; result: "i32"; optional: true }>,
  ): {
    readonly symbols: Record<string, ((...args: ReadonlyArray<Argument>) => number) | null>
  }
}

const deno = (globalThis as { readonly Deno?: Deno }).Deno

const withDeno = ({ dlopen }: Deno, path: string): Library => {
  const wanted = names.map((name) => [name, { parameters: functions[name], result: "i32", optional: true }] as const)
  const { symbols } = dlopen(path, Object.fromEntries(wanted))
  return Object.fromEntries(names.map((name) => [name, symbols[name] ?? undefined])) as Library
}

const failure = (_tag: string, description: string): Failure => ({ _tag, code: null, description })

/** Both interfaces pass on the message of dlopen(3), without a code. */
const classify = (path: string, error: unknown): Failure => {
  const said = error instanceof Error ? error.message : String(error)
  const name = error instanceof Error ? error.name : ""
  if (/cannot find (package|module)/i.test(said) && /koffi/.test(said)) {
    return failure("LibraryMissing", "koffi, through which Node calls libraries, is not installed: npm install koffi")
  }
  if (name === "NotCapable" || /permission denied|requires ffi access/i.test(said)) {
    return failure("PermissionDenied", said)
  }
  if (/no such file|image not found|could not be found/i.test(said)) {
    return failure("LibraryMissing", `${path}: there is no such library, or one that it needs is missing`)
  }
  return failure("LibraryInvalid", `${path}: ${said}`)
}
