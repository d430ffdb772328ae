/**
 * Which devices the models may use.
 *
 * @since 0.1.0
 */
import type { GpuReading } from "../../../services/GpuProbe.ts"

/**
 * Keeps the devices that `CUDA_VISIBLE_DEVICES` names by UUID, or by the start of one, as CUDA does: in its order, and only up to the first that is not there.
 * Empty, or -1, is no device.
 *
 * Numbers are in CUDA's order, which is not this library's, unless CUDA_DEVICE_ORDER is PCI_BUS_ID; without that they select nothing here and all stay.
 *
 * @category combinators
 * @since 0.1.0
 */
export const select = (
  devices: ReadonlyArray<GpuReading>,
  visible: string | undefined,
  order: string | undefined,
): ReadonlyArray<GpuReading> => {
  if (visible === undefined) return devices
  const named = visible.split(",").map((name) => name.trim())
  if (named.some(isOrdinal) && order !== "PCI_BUS_ID") return devices
  const found: Array<GpuReading> = []
  for (const name of named) {
    const device = isOrdinal(name) ? devices[Number(name)] : devices.find(({ uuid }) => isPrefix(name, uuid))
    if (device === undefined || found.includes(device)) break
    found.push(device)
  }
  return found
}

const isOrdinal = (name: string): boolean => /^\d+$/.test(name)

const isPrefix = (name: string, uuid: string): boolean => /^(GPU|MIG)-/.test(name) && uuid.startsWith(name)
