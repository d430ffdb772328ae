/**
 * The library, initialised once and kept open, and what it reports of every device. Runs in the helper process only.
 *
 * @since 0.1.0
 */
import * as Calls from "./calls.ts"
import * as Events from "./events.ts"
import type { Listed } from "./events.ts"
import type { Library } from "./library.ts"
import type { Failure, RawDevice, RawDriver, RawXid } from "./protocol.ts"
import { isLoss, readGpu, type State } from "./readGpu.ts"
import * as Struct from "./structs.ts"

const { rc } = Struct

/** @category models @since 0.1.0 */
export interface Session {
  readonly read: (options: { readonly processes: boolean }) => Read | Failure
}

/** @category models @since 0.1.0 */
export interface Read {
  readonly driver: RawDriver
  readonly devices: ReadonlyArray<RawDevice>
  readonly xids: ReadonlyArray<RawXid>
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
        state = start(library, state)
      }
      return typeof state === "number" ? failed("nvmlInit", state) : readAll(state, options)
    },
  }
}

/** `before` is the state of the initialisation before this one: a lost GPU keeps its name. */
const start = (library: Library, before?: State): State | number => {
  const code = Calls.init(library)
  if (code !== rc.ok && code !== rc.noGpus) return code
  return {
    library,
    events: Calls.eventSet(library),
    gpus: new Map(),
    identities: before?.identities ?? new Map(),
    count: before?.count,
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

/** The most indices that are tried while the GPUs cannot be counted. */
const indexMax = 64

/** The number of GPUs. Where one that is lost keeps them from being counted: as many as have an index. */
const countOf = (state: State): Calls.Got<number> => {
  const count = Calls.count(state.library)
  if (!isLoss(count.rc)) return count
  if (state.count !== undefined) return { rc: 0, value: state.count }
  let index = 0
  while (index < indexMax && Calls.handle(state.library, index).rc !== rc.invalidArgument) index++
  return index === 0 || index === indexMax ? count : { rc: 0, value: index }
}

const readAll = (state: State, options: { readonly processes: boolean }): Read | Failure => {
  const count = countOf(state)
  const driver = Calls.driver(state.library)
  if (count.rc === rc.noGpus) return { driver, devices: [], xids: [] }
  if (count.value === undefined) return failed("nvmlDeviceGetCount", count.rc)
  // When the number of GPUs changes, a GPU may get another index.
  if (state.count !== undefined && state.count !== count.value) {
    state.identities.clear()
    state.gpus.clear()
  }
  state.count = count.value

  const listed: Array<Listed> = []
  let denied: number | undefined
  for (let index = 0; index < count.value; index++) {
    const found = readGpu(state, index, options)
    // The count includes GPUs that this user may not open.
    if (typeof found === "number") denied = found
    else listed.push(...found)
  }
  if (listed.length === 0 && denied !== undefined) return failed("nvmlDeviceGetHandleByIndex", denied)
  return { driver, ...withEvents(state, listed) }
}

/**
 * If waiting for events fails, every device counts as faulty, as in NVIDIA's device plugin. But if it fails because a
 * GPU is lost, and that GPU has been found, then the health of the others is not known: they were read.
 */
const withEvents = (state: State, listed: ReadonlyArray<Listed>): Omit<Read, "driver"> => {
  const devices = listed.map(({ device }) => device)
  const { events, library } = state
  if (events === undefined || !devices.some(({ watched }) => watched)) return { devices, xids: [] }
  const { failure, xids } = Events.take(library, events, listed)
  if (failure === undefined) return { devices, xids }
  state.needsReinit = true
  if (isLoss(failure) && devices.some(({ fault }) => fault !== null)) {
    return { devices: devices.map((device) => ({ ...device, watched: false })), xids }
  }
  const fault = `waiting for its events: ${Struct.describe(failure)}`
  return { devices: devices.map((device) => ({ ...device, fault: device.fault ?? fault })), xids }
}
