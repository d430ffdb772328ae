/**
 * Reads the devices and enters the results into their accounts.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Option, Result } from "effect"
import type { Duration } from "effect"
import type { GpuProbe, GpuReading } from "../../../services/GpuProbe.ts"
import { ChargedAllocation } from "./chargedAllocation.ts"
import type { Devices } from "./devices.ts"

const number = (value: Option.Option<ByteSize.ByteSize>): number | undefined =>
  Option.getOrUndefined(Option.map(value, ByteSize.toNumberUnsafe))

/** Enters the reading of one device. Returns false if its free memory is not readable. */
const take = (
  devices: Devices,
  held: ReadonlySet<ChargedAllocation>,
  reading: GpuReading,
  begun: number,
  now: number,
): boolean => {
  const free = number(reading.free)
  const account = devices.account(reading.uuid)
  // A reading that began later has already ended: this one is older.
  if (begun < account.readSeq) return true
  account.unhealthy = Option.isSome(reading.health) && reading.health.value._tag === "Unhealthy"
  account.sensors = {
    temperature: Option.getOrUndefined(reading.temperature),
    power: Option.getOrUndefined(reading.power),
    utilisation: Option.getOrUndefined(reading.utilisation),
    healthy: Option.isSome(reading.health) ? !account.unhealthy : undefined,
  }
  account.absent = false
  account.capability = Option.getOrUndefined(reading.computeCapability) ?? account.capability
  if (free === undefined) {
    account.total ??= number(reading.total)
    account.failure = "free memory is not readable"
    return false
  }
  account.read(number(reading.total), free, now, begun)
  for (const charge of account.charges) {
    if (!(charge instanceof ChargedAllocation) || !held.has(charge)) continue
    if (charge.residentSeq < begun) charge.seen.add(reading.uuid)
    else charge.seen.delete(reading.uuid)
  }
  account.updateForeign()
  return true
}

/**
 * Reads all devices once. `begun` is the number of this reading. A reading that fails or is too slow changes only
 * `failure`.
 *
 * @category readings
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (
  probe: GpuProbe["Service"],
  devices: Devices,
  held: ReadonlySet<ChargedAllocation>,
  begun: number,
  timeout: Duration.Duration,
  now: () => number,
) {
  const result = yield* probe.read.pipe(
    Effect.catchDefect((defect) => Effect.fail({ message: String(defect) })),
    Effect.timeoutOption(timeout),
    Effect.result,
  )
  const readings = Result.isSuccess(result) ? Option.getOrUndefined(result.success)?.devices : undefined
  const good = new Set<string>()
  const listed = new Set(readings?.map(({ uuid }) => uuid))
  for (const reading of readings ?? []) if (take(devices, held, reading, begun, now())) good.add(reading.uuid)
  for (const [uuid, account] of devices.accounts) {
    if (good.has(uuid) || begun < account.readSeq || listed.has(uuid)) continue
    account.absent = readings !== undefined && readings.length > 0
    account.sensors = undefined
    account.failure = Result.isFailure(result)
      ? result.failure.message || "the probe failed"
      : readings === undefined
      ? "the probe did not answer in time"
      : "the probe does not list it"
  }
})
