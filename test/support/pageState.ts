/** Parts of the state that the status page gets, with the fields that a test names. */
import type { DeviceState } from "../../page/state.ts"

export const device = (name: string, fields: Partial<DeviceState> = {}): DeviceState => ({
  device: name,
  backends: [],
  declared: null,
  total: 100,
  free: null,
  capacity: null,
  held: 0,
  reserve: null,
  foreign: null,
  read_at: null,
  failure: "",
  models: [],
  ...fields,
})
