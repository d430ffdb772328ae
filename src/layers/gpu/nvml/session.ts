/**
 * The library, initialised once and kept open, and what it reports of every device. Runs in the helper process only.
 *
 * @since 0.1.0
 */
import * as Calls from "./calls.ts"
import * as Events from "./events.ts"
import type { Listed } from "./events.ts"
import type { Library } from "./library.ts"
import type { Failure, RawDevice, RawXid } from "./protocol.ts"
import * as Struct from "./structs.ts"

const { rc } = Struct

/** @category models @since 0.1.0 */
export interface Session {
  readonly read: (options: { readonly processes: boolean }) => Read | Failure
}

/** @category models @since 0.1.0 */
export interface Read {
  readonly devices: ReadonlyArray<RawDevice>
  readonly xids: ReadonlyArray<RawXid>
}

interface Gpu {
  readonly handle: Calls.Handle
  readonly uuid: string
  readonly name: string
  readonly watched: boolean
}

interface State {
  readonly library: Library
  readonly events: Calls.Handle | undefined
  readonly gpus: Map<number, Gpu>
  /** UUID and name of the GPU at each index. A GPU that is lost can no longer be asked for them. */
  readonly identities: Map<number, Pick<Gpu, "uuid" | "name">>
  readonly since: number
  /** Whether a device or the events failed in a way that only a new initialisation mends. */
  needsReinit: boolean
}

/**
 * A lost GPU is seen again only after a new initialisation. That opens every device again (up to 0.3 s each), so it is
 * not done for each read.
 */
const reinitMillis = 30_000

/**
 * Initialises the library. After a read that fails as a whole (not initialised any more, driver gone or replaced) the
 * session must not be used again: only a new process starts fresh.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = (library: Library): Session | Failure => {
  let state = start(library)
  if (typeof state === "number") return failed("nvmlInit", state)
  return {
    read: (options) => {
      if (typeof state !== "number" && state.needsReinit && performance.now() - state.since > reinitMillis) {
        stop(state)
        state = start(library, state.identities)
      }
      return typeof state === "number" ? failed("nvmlInit", state) : readAll(state, options)
    },
  }
}

const start = (library: Library, identities: State["identities"] = new Map()): State | number => {
  const code = Calls.init(library)
  if (code !== rc.ok && code !== rc.noGpus) return code
  return {
    library,
    events: Calls.eventSet(library),
    gpus: new Map(),
    identities,
    since: performance.now(),
    needsReinit: false,
  }
}

const stop = ({ events, library }: State): void => {
  if (events !== undefined) library.nvmlEventSetFree?.(events)
  library.nvmlShutdown?.()
}

const failed = (call: string, code: number): Failure => ({
  _tag: Struct.tagOf(code),
  code,
  description: `${call}: ${Struct.describe(code)}`,
})

const readAll = (state: State, options: { readonly processes: boolean }): Read | Failure => {
  const count = Calls.count(state.library)
  if (count.rc === rc.noGpus) return { devices: [], xids: [] }
  if (count.value === undefined) return failed("nvmlDeviceGetCount", count.rc)
  // When the number of GPUs changes, a GPU may get another index.
  if (state.identities.size !== count.value) state.identities.clear()
  for (const index of state.gpus.keys()) if (index >= count.value) state.gpus.delete(index)

  const listed: Array<Listed> = []
  let denied: number | undefined
  for (let index = 0; index < count.value; index++) {
    const found = readGpu(state, index, options)
    // The count includes GPUs that this user may not open.
    if (typeof found === "number") denied = found
    else listed.push(...found)
  }
  if (listed.length === 0 && denied !== undefined) return failed("nvmlDeviceGetHandleByIndex", denied)
  return withEvents(state, listed)
}

/** What one GPU is listed as: itself, or its MIG instances. A number is the code with which it may not be opened. */
const readGpu = (
  state: State,
  index: number,
  options: { readonly processes: boolean },
): ReadonlyArray<Listed> | number => {
  const gpu = state.gpus.get(index) ?? openGpu(state, index)
  if (typeof gpu === "number") {
    if (gpu === rc.noPermission || gpu === rc.blocked) return gpu
    state.needsReinit = true
    const { name, uuid } = state.identities.get(index) ?? { name: `GPU ${index}`, uuid: `nvml-${index}` }
    return [{ device: broken(uuid, name, gpu), gpu: undefined, instance: undefined }]
  }
  const { library } = state
  const instances = Calls.instances(library, gpu.handle)
  if (instances === undefined || instances.length === 0) {
    // With MIG switched on and no instance made, nothing can be allocated, although the GPU reports memory.
    const device = readDevice(state, gpu, options, instances !== undefined)
    // The handle is asked for again next time: the index may then belong to another GPU, or to this one again.
    if (isLost(device)) state.gpus.delete(index)
    return [{ device, gpu: gpu.handle, instance: undefined }]
  }
  return instances.map((handle, slot) => {
    const uuid = Calls.text(library, "nvmlDeviceGetUUID", handle).value ?? `${gpu.uuid}/${slot}`
    const name = Calls.text(library, "nvmlDeviceGetName", handle).value ?? `${gpu.name} MIG`
    const device = readDevice(state, { handle, uuid, name, watched: gpu.watched }, options, false)
    return { device: { ...device, kind: "mig" }, gpu: gpu.handle, instance: Calls.gpuInstance(library, handle) }
  })
}

const openGpu = (state: State, index: number): Gpu | number => {
  const { events, gpus, library } = state
  const handle = Calls.handle(library, index)
  if (handle.value === undefined) return handle.rc
  const uuid = Calls.text(library, "nvmlDeviceGetUUID", handle.value)
  if (uuid.value === undefined) return uuid.rc
  const name = Calls.text(library, "nvmlDeviceGetName", handle.value).value ?? "NVIDIA GPU"
  const watched = events !== undefined &&
    library.nvmlDeviceRegisterEvents?.(handle.value, Struct.eventXid, events) === rc.ok
  const gpu = { handle: handle.value, uuid: uuid.value, name, watched }
  gpus.set(index, gpu)
  state.identities.set(index, gpu)
  return gpu
}

const lostWords = [Struct.describe(rc.lost), Struct.describe(rc.resetRequired)]

const isLost = ({ fault }: RawDevice): boolean => fault !== null && lostWords.includes(fault)

const broken = (uuid: string, name: string, code: number): RawDevice => ({
  uuid,
  name,
  kind: "gpu",
  unified: false,
  total: null,
  free: null,
  used: null,
  percent: null,
  celsius: null,
  milliwatts: null,
  watched: false,
  fault: Struct.describe(code),
  processes: null,
})

const readDevice = (
  state: State,
  { handle, name, uuid, watched }: Gpu,
  options: { readonly processes: boolean },
  withoutMemory: boolean,
): RawDevice => {
  const { library } = state
  const memory = Calls.memory(library, handle)
  if (memory.rc === rc.lost || memory.rc === rc.resetRequired) {
    state.needsReinit = true
    return broken(uuid, name, memory.rc)
  }
  const kept = withoutMemory ? undefined : memory.value
  // A missing permission, or a call that does not exist, is not a fault of the device.
  const harmless: ReadonlyArray<number> = [rc.ok, rc.notSupported, rc.noPermission, rc.functionNotFound]
  return {
    uuid,
    name,
    kind: "gpu",
    unified: memory.rc === rc.notSupported,
    total: kept?.total ?? null,
    free: kept?.free ?? null,
    used: kept?.used ?? null,
    percent: Calls.percent(library, handle),
    celsius: Calls.celsius(library, handle),
    milliwatts: Calls.milliwatts(library, handle),
    watched,
    fault: harmless.includes(memory.rc) ? null : `reading its memory: ${Struct.describe(memory.rc)}`,
    processes: options.processes ? Calls.processes(library, handle) : null,
  }
}

/** If waiting for events fails, every device counts as faulty, as in NVIDIA's device plugin. */
const withEvents = (state: State, listed: ReadonlyArray<Listed>): Read => {
  const devices = listed.map(({ device }) => device)
  const { events, library } = state
  if (events === undefined || !devices.some(({ watched }) => watched)) return { devices, xids: [] }
  const { failure, xids } = Events.take(library, events, listed)
  if (failure === undefined) return { devices, xids }
  state.needsReinit = true
  const fault = `waiting for its events: ${Struct.describe(failure)}`
  return { devices: devices.map((device) => ({ ...device, fault: device.fault ?? fault })), xids }
}
