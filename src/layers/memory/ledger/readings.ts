/**
 * Readings of the devices, entered into their accounts.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Option, Result } from "effect"
import type { Duration } from "effect"
import type { GpuProbe, GpuReading } from "../../../services/GpuProbe.ts"
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { Devices } from "./devices.ts"

const number = (value: Option.Option<ByteSize.ByteSize>): number | undefined =>
  Option.getOrUndefined(Option.map(value, ByteSize.toNumberUnsafe))

/** Takes over the reading of one device, if it is a good one; whether it needs no other reason why not. */
const take = (
  devices: Devices,
  held: Iterable<ChargedAllocation>,
  reading: GpuReading,
  begun: number,
  now: number,
): boolean => {
  const free = number(reading.free)
  const book = devices.book(reading.uuid)
  // One that began later has ended before: what this one saw is older.
  if (begun < book.readSeq) return true
  book.sick = Option.isSome(reading.health) && reading.health.value._tag === "Unhealthy"
  if (free === undefined) {
    book.total ??= number(reading.total)
    book.failure = "free memory is not readable"
    return false
  }
  book.read(number(reading.total), free, now, begun)
  for (const allocation of held) {
    if (!book.charges.has(allocation)) continue
    if (allocation.residentSeq < begun) allocation.seen.add(reading.uuid)
    else allocation.seen.delete(reading.uuid)
  }
  book.account()
  return true
}

/** One reading of all devices that began at `begun`. One that fails or is too slow changes nothing but the reason why. @category readings @since 0.1.0 */
export const read = Effect.fnUntraced(function* (
  probe: GpuProbe["Service"],
  devices: Devices,
  held: Iterable<ChargedAllocation>,
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
  for (const reading of readings ?? []) if (take(devices, held, reading, begun, now())) good.add(reading.uuid)
  for (const [uuid, book] of devices.books) {
    if (good.has(uuid) || begun < book.readSeq || readings?.some((reading) => reading.uuid === uuid) === true) continue
    book.failure = Result.isFailure(result)
      ? result.failure.message || "the probe failed"
      : readings === undefined
      ? "the probe did not answer in time"
      : "the probe does not list it"
  }
})
