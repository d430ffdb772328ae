/**
 * Selects the devices that models may use.
 *
 * @since 0.1.0
 */
import type { GpuReading } from "../../../services/GpuProbe.ts"

/**
 * Keeps the devices that `CUDA_VISIBLE_DEVICES` names by UUID or by the start of one. As in CUDA, the order is that of
 * the variable, and the list ends at the first device that does not exist. An empty value, or -1, selects no device.
 *
 * Numbers are in CUDA's order. That is this order only if CUDA_DEVICE_ORDER is PCI_BUS_ID; otherwise a list with
 * numbers selects nothing here, and all devices stay.
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
