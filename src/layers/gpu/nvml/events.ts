/**
 * The error events of the driver, and the devices that they are about. Runs in the helper process only.
 *
 * @since 0.1.0
 */
import * as Calls from "./calls.ts"
import type { Library } from "./library.ts"
import type { RawDevice, RawXid } from "./protocol.ts"
import * as Struct from "./structs.ts"

/**
 * A device as it is reported, and the GPU and MIG instance by which an event names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listed {
  readonly device: RawDevice
  readonly gpu: Calls.Handle | undefined
  readonly instance: number | undefined
}

/** Most events in one read, so that a storm of events does not keep it from ending. */
const eventsMax = 256

const { rc } = Struct

/** Codes that mean "no further event". */
const ends: ReadonlyArray<number> = [rc.timeout, rc.functionNotFound, rc.notSupported]

/**
 * The events since the last read. `failure` is the code of the call that failed.
 *
 * @category calls
 * @since 0.1.0
 */
export const take = (
  library: Library,
  set: Calls.Handle,
  listed: ReadonlyArray<Listed>,
): { readonly xids: ReadonlyArray<RawXid>; readonly failure: number | undefined } => {
  const xids: Array<RawXid> = []
  for (let n = 0; n < eventsMax; n++) {
    const event = Calls.event(library, set)
    if (event.value === undefined) return { xids, failure: ends.includes(event.rc) ? undefined : event.rc }
    if ((event.value.type & Struct.eventXid) !== 0n) xids.push(...concerned(event.value, listed))
  }
  return { xids, failure: undefined }
}

/** The devices of an event: one instance, all instances of a GPU, or every device where the GPU is not known. */
const concerned = (event: Calls.Event, listed: ReadonlyArray<Listed>): ReadonlyArray<RawXid> => {
  const xid = Number(event.data)
  const ofGpu = listed.filter(({ gpu }) => gpu === event.device)
  if (ofGpu.length === 0) return [{ uuid: null, xid }]
  return ofGpu
    .filter(({ instance }) =>
      event.gpuInstance === Struct.noInstance || instance === undefined || instance === event.gpuInstance
    )
    .map(({ device }) => ({ uuid: device.uuid, xid }))
}
