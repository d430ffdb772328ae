/**
 * What the library reports of one GPU, or of its MIG instances. One that fails does not keep the others from being
 * read. Runs in the helper process only.
 *
 * @since 0.1.0
 */
import * as Calls from "./calls.ts"
import type { Listed } from "./events.ts"
import type { Library } from "./library.ts"
import type { RawDevice } from "./protocol.ts"
import * as Struct from "./structs.ts"

const { rc } = Struct

/** A GPU that is open. @category models @since 0.1.0 */
export interface Gpu {
  readonly handle: Calls.Handle
  readonly uuid: string
  readonly name: string
  readonly capability: number | null
  readonly watched: boolean
}

/** How a device is called. @category models @since 0.1.0 */
export type Identity = Pick<Gpu, "uuid" | "name" | "capability">

/**
 * What is known of the GPU at an index. A GPU that is lost can no longer be asked for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Known extends Identity {
  /** Its MIG instances by slot, as they were last read. */
  readonly instances: Map<number, Identity>
}

/** @category models @since 0.1.0 */
export interface State {
  readonly library: Library
  readonly events: Calls.Handle | undefined
  readonly gpus: Map<number, Gpu>
  readonly identities: Map<number, Known>
  readonly since: number
  /** The number of GPUs at the last read. */
  count: number | undefined
  /** Whether a device or the events failed in a way that only a new initialisation mends. */
  needsReinit: boolean
}

const losses: ReadonlyArray<number> = [rc.lost, rc.resetRequired]

/** Whether a code says that a GPU is lost. @category predicates @since 0.1.0 */
export const isLoss = (code: number): boolean => losses.includes(code)

const openGpu = (state: State, index: number): Gpu | number => {
  const { events, gpus, identities, library } = state
  const handle = Calls.handle(library, index)
  if (handle.value === undefined) return handle.rc
  const uuid = Calls.text(library, "nvmlDeviceGetUUID", handle.value)
  if (uuid.value === undefined) return uuid.rc
  const name = Calls.text(library, "nvmlDeviceGetName", handle.value).value ?? "NVIDIA GPU"
  const watched = events !== undefined &&
    library.nvmlDeviceRegisterEvents?.(handle.value, Struct.eventXid, events) === rc.ok
  const capability = Calls.capability(library, handle.value)
  const gpu = { handle: handle.value, uuid: uuid.value, name, capability, watched }
  gpus.set(index, gpu)
  const before = identities.get(index)
  identities.set(index, {
    ...gpu,
    instances: before !== undefined && before.uuid === gpu.uuid ? before.instances : new Map(),
  })
  return gpu
}

const broken = ({ capability, name, uuid }: Identity, kind: RawDevice["kind"], code: number): RawDevice => ({
  uuid,
  name,
  kind,
  unified: false,
  total: null,
  free: null,
  used: null,
  percent: null,
  celsius: null,
  milliwatts: null,
  capability,
  watched: false,
  fault: Struct.describe(code),
  processes: null,
})

/** A GPU that is lost, as it was listed before: itself, or its instances. */
const lost = (known: Known, gpu: Gpu | undefined, code: number): ReadonlyArray<Listed> => {
  const of = (identity: Identity, kind: RawDevice["kind"]): Listed => ({
    device: broken(identity, kind, code),
    gpu: gpu?.handle,
    instance: undefined,
  })
  return known.instances.size === 0
    ? [of(known, "gpu")]
    : Array.from(known.instances.values(), (identity) => of(identity, "mig"))
}

const readDevice = (
  state: State,
  { capability, handle, name, uuid, watched }: Gpu,
  kind: RawDevice["kind"],
  options: { readonly processes: boolean },
  withoutMemory: boolean,
): RawDevice | number => {
  const { library } = state
  const memory = Calls.memory(library, handle)
  if (isLoss(memory.rc)) return memory.rc
  const kept = withoutMemory ? undefined : memory.value
  // A missing permission, or a call that does not exist, is not a fault of the device.
  const harmless: ReadonlyArray<number> = [rc.ok, rc.notSupported, rc.noPermission, rc.functionNotFound]
  return {
    uuid,
    name,
    kind,
    unified: memory.rc === rc.notSupported,
    total: kept?.total ?? null,
    free: kept?.free ?? null,
    used: kept?.used ?? null,
    percent: Calls.percent(library, handle),
    celsius: Calls.celsius(library, handle),
    milliwatts: Calls.milliwatts(library, handle),
    capability,
    watched,
    fault: harmless.includes(memory.rc) ? null : `reading its memory: ${Struct.describe(memory.rc)}`,
    processes: options.processes ? Calls.processes(library, handle) : null,
  }
}

const readInstances = (
  state: State,
  gpu: Gpu,
  known: Known,
  instances: ReadonlyArray<Calls.Instance>,
  options: { readonly processes: boolean },
): ReadonlyArray<Listed> | number => {
  const { library } = state
  // Where a slot cannot be asked, it is not known whether it is empty, unless an instance was there before.
  const there = instances.filter(({ handle, slot }) => handle.rc === rc.ok || known.instances.has(slot))
  if (there.length === 0) return instances[0]?.handle.rc ?? rc.notFound
  const slots = new Set(there.map(({ slot }) => slot))
  for (const slot of known.instances.keys()) if (!slots.has(slot)) known.instances.delete(slot)
  return there.map(({ handle, slot }) => {
    const before = known.instances.get(slot)
    const unnamed = { uuid: `${gpu.uuid}/${slot}`, name: `${gpu.name} MIG`, capability: gpu.capability }
    if (handle.value === undefined) {
      state.needsReinit = true
      return { device: broken(before ?? unnamed, "mig", handle.rc), gpu: gpu.handle, instance: undefined }
    }
    const uuid = Calls.text(library, "nvmlDeviceGetUUID", handle.value)
    const name = Calls.text(library, "nvmlDeviceGetName", handle.value)
    const identity: Identity = {
      // A slot may get another instance. If its name cannot be read, it is most likely the one from before.
      uuid: uuid.value ?? before?.uuid ?? unnamed.uuid,
      name: name.value ?? before?.name ?? unnamed.name,
      capability: gpu.capability,
    }
    known.instances.set(slot, identity)
    const asGpu = { ...identity, handle: handle.value, watched: gpu.watched }
    const device = readDevice(state, asGpu, "mig", options, false)
    if (typeof device === "number") state.needsReinit = true
    return {
      device: typeof device === "number" ? broken(identity, "mig", device) : device,
      gpu: gpu.handle,
      instance: Calls.gpuInstance(library, handle.value),
    }
  })
}

/**
 * What the GPU at an index is listed as: itself, or its MIG instances. A number is the code with which it may not be
 * opened. A GPU that is lost is listed as it was before, with its fault.
 *
 * @category calls
 * @since 0.1.0
 */
export const readGpu = (
  state: State,
  index: number,
  options: { readonly processes: boolean },
): ReadonlyArray<Listed> | number => {
  const { gpus, identities, library } = state
  const unnamed = { name: `GPU ${index}`, uuid: `nvml-${index}`, capability: null, instances: new Map() }
  const gpu = gpus.get(index) ?? openGpu(state, index)
  if (typeof gpu === "number") {
    if (gpu === rc.noPermission || gpu === rc.blocked) return gpu
    state.needsReinit = true
    return lost(identities.get(index) ?? unnamed, undefined, gpu)
  }
  const known = identities.get(index) ?? { ...gpu, instances: new Map() }
  const mig = Calls.instances(library, gpu.handle)
  const found = isLoss(mig.rc)
    ? mig.rc
    : mig.value !== undefined && mig.value.length > 0
    ? readInstances(state, gpu, known, mig.value, options)
    // With MIG switched on and no instance made, nothing can be allocated, although the GPU reports memory.
    : readDevice(state, gpu, "gpu", options, mig.value !== undefined)
  if (typeof found === "number") {
    state.needsReinit = true
    // The handle is asked for again next time: the index may then belong to another GPU, or to this one again.
    gpus.delete(index)
    return lost(known, gpu, found)
  }
  if ("length" in found) return found
  known.instances.clear()
  return [{ device: found, gpu: gpu.handle, instance: undefined }]
}
