/**
 * Several probes in order of preference, and which of them answers now.
 *
 * Not `Effect.firstSuccessOf`: a chain remembers which probe works, so that a read does not try the broken ones again.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import {
  type GpuProbe,
  GpuProbeError,
  type GpuReadings,
  NoneWorked,
  NotSupported,
  type PassedOver,
} from "../../../services/GpuProbe.ts"

interface Link {
  readonly probe: GpuProbe["Service"]
  /** Why its last read failed; none where it worked or was not tried. */
  failed: PassedOver | undefined
}

/** @internal */
export interface Chain {
  /** Reads from the probe that answered last, or the first one, and goes on to the next when a probe fails. */
  readonly read: Effect.Effect<GpuReadings, GpuProbeError>
  /** Tries the probes before the one that answers now. The first that works answers from now on. */
  readonly climb: Effect.Effect<void>
  /** Whether the first probe answers. */
  readonly isBest: () => boolean
}

/** `onDegraded` is called when a probe that is not the first one starts to answer. @internal */
export const make = (
  source: string,
  probes: ReadonlyArray<GpuProbe["Service"]>,
  onDegraded: () => void,
): Chain => {
  const links: ReadonlyArray<Link> = probes.map((probe) => ({ probe, failed: undefined }))
  let current: Link | undefined

  const before = (link: Link): ReadonlyArray<Link> => links.slice(0, links.indexOf(link))

  const use = (link: Link): Effect.Effect<void> => {
    if (current === link) return Effect.void
    const isWorse = current !== undefined && links.indexOf(link) > links.indexOf(current)
    current = link
    if (link !== links[0]) onDegraded()
    const better = before(link).flatMap(({ failed }) => failed ?? [])
    const message = `GPU memory is read by ${link.probe.source}${reasonsOf(better)}`
    return isWorse ? Effect.logWarning(message) : Effect.logInfo(message)
  }

  const read = Effect.gen(function* () {
    const start = current === undefined ? 0 : links.indexOf(current)
    for (const link of links.slice(start)) {
      const readings = yield* attempt(link)
      if (Option.isNone(readings)) continue
      yield* use(link)
      const failed = before(link).flatMap((better) => better.failed ?? [])
      return { ...readings.value, passedOver: [...failed, ...readings.value.passedOver] }
    }
    // No probe from `start` on works, so the next read starts with the first one again.
    current = undefined
    const tried = links.flatMap(({ failed }) => failed ?? [])
    const description = tried.map((found) => `${found.source}: ${found.reason}`).join(", ")
    return yield* new GpuProbeError({ source, reason: new NoneWorked({ tried, description }) })
  })

  const climb = Effect.gen(function* () {
    if (current === undefined) return
    for (const link of before(current)) if (Option.isSome(yield* attempt(link))) return yield* use(link)
  })

  return { read, climb, isBest: () => current === links[0] }
}

/** Reads from one probe and notes how that ended. */
const attempt = (link: Link): Effect.Effect<Option.Option<GpuReadings>> =>
  Effect.match(readDevices(link.probe), {
    onSuccess: (readings) => {
      link.failed = undefined
      return Option.some(readings)
    },
    onFailure: ({ reason }) => {
      link.failed = { source: link.probe.source, reason: reason._tag, description: reason.description }
      return Option.none()
    },
  })

/** A read that shows no device counts as a failure: another probe may show one. */
const readDevices = (probe: GpuProbe["Service"]): Effect.Effect<GpuReadings, GpuProbeError> =>
  Effect.flatMap(
    probe.read,
    (readings) =>
      readings.devices.length > 0
        ? Effect.succeed(readings)
        : Effect.fail(new GpuProbeError({ source: probe.source, reason: noDevice })),
  )

const noDevice = new NotSupported({ description: "it shows no device" })

const reasonsOf = (better: ReadonlyArray<PassedOver>): string => {
  const reasons = better.map((found) => `${found.source}: ${found.reason}: ${found.description}`).join("; ")
  return reasons === "" ? "" : ` (${reasons})`
}
