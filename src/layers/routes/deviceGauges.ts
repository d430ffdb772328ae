/**
 * The gauges of devices.
 *
 * @since 0.1.0
 */
import type { VramLedger } from "../../services/VramLedger.ts"
import { gauge, type Set } from "./gauge.ts"

const allocated = gauge("llamero_device_allocated_bytes", "Memory of a device that is promised or taken by models")
const capacity = gauge("llamero_device_capacity_bytes", "Memory of a device that may be promised in all")
const foreign = gauge("llamero_device_foreign_bytes", "Memory of a device that other programs take")
const free = gauge("llamero_device_free_bytes", "Free memory of a device in its last good reading")
const healthy = gauge("llamero_device_healthy", "1 where the source has seen no fault of the device, else 0")
const power = gauge("llamero_device_power_watts", "Power that a device draws")
const readable = gauge("llamero_device_readable", "1 where the last reading of a device was good, else 0")
const reserve = gauge("llamero_device_reserve_bytes", "Memory of a device that is kept free")
const temperature = gauge("llamero_device_temperature_celsius", "Temperature of a device")
const total = gauge("llamero_device_total_bytes", "Memory of a device")
const utilisation = gauge("llamero_device_utilization_ratio", "Share of time in which a device was in use, from 0 to 1")

/** Unknown is a missing series, never 0. @internal */
export const read = (ledger: VramLedger["Service"], set: Set): void => {
  for (const status of ledger.devices()) {
    const { device, failure, held, sensors } = status
    set(readable, failure === "" ? 1 : 0, { device })
    set(allocated, held, { device })
    const known = [
      [capacity, status.capacity],
      [foreign, status.foreign],
      [free, status.free],
      [reserve, status.reserve],
      [total, status.total],
      [temperature, sensors?.temperature],
      [power, sensors?.power],
      [utilisation, sensors?.utilisation],
      [healthy, sensors?.healthy === undefined ? undefined : Number(sensors.healthy)],
    ] as const
    for (const [metric, value] of known) if (value !== undefined) set(metric, value, { device })
  }
}
