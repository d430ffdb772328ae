/**
 * Several probes, best first: the first that works answers.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Latch, Layer, Option } from "effect"
import {
  GpuProbe,
  GpuProbeError,
  type GpuReadings,
  NoneWorked,
  NotSupported,
  type PassedOver,
} from "../../services/GpuProbe.ts"
import * as Flight from "./probes/flight.ts"

// Only the shape is asked for here: what a layer may fail with or needs is its own, and comes out in the type of the chain.
// deno-lint-ignore no-explicit-any
type AnyProbe = Layer.Layer<GpuProbe, any, any>

const source = "first-that-works"

interface Rung {
  readonly probe: GpuProbe["Service"]
  /** Why it is passed over. */
  failed: PassedOver | undefined
}

const passedOver = (name: string, { reason }: GpuProbeError): PassedOver => ({
  source: name,
  reason: reason._tag,
  description: reason.description,
})

/** A read that shows no device is a failure here: another probe may show one. */
const look = ({ probe }: Rung): Effect.Effect<GpuReadings, GpuProbeError> =>
  Effect.flatMap(
    probe.read,
    (readings) =>
      readings.devices.length > 0
        ? Effect.succeed(readings)
        : Effect.fail(new GpuProbeError({ source: probe.source, reason: noDevice })),
  )

const make = Effect.fnUntraced(function* (probes: ReadonlyArray<GpuProbe["Service"]>, retry: Duration.Duration) {
  const degraded = yield* Latch.make()
  const rungs: ReadonlyArray<Rung> = probes.map((probe) => ({ probe, failed: undefined }))
  let current: Rung | undefined

  const attempt = (rung: Rung): Effect.Effect<Option.Option<GpuReadings>> =>
    Effect.match(look(rung), {
      onSuccess: (readings) => {
        rung.failed = undefined
        return Option.some(readings)
      },
      onFailure: (error) => {
        rung.failed = passedOver(rung.probe.source, error)
        return Option.none()
      },
    })

  const report = (rung: Rung): Effect.Effect<void> => {
    if (current === rung) return Effect.void
    const before = current
    current = rung
    if (rung !== rungs[0]) degraded.openUnsafe()
    const better = rungs.slice(0, rungs.indexOf(rung)).map(({ failed }) => failed).filter((why) => why !== undefined)
    const why = better.map((found) => `${found.source}: ${found.reason}: ${found.description}`).join("; ")
    const worse = before !== undefined && rungs.indexOf(rung) > rungs.indexOf(before)
    const message = `GPU memory is read by ${rung.probe.source}${why === "" ? "" : ` (${why})`}`
    return worse ? Effect.logWarning(message) : Effect.logInfo(message)
  }

  const answer = (rung: Rung, readings: GpuReadings): GpuReadings => ({
    ...readings,
    passedOver: [
      ...rungs.slice(0, rungs.indexOf(rung)).flatMap(({ failed }) => failed ?? []),
      ...readings.passedOver,
    ],
  })

  /** From the one that answers now, or the top, downwards. */
  const once = Effect.gen(function* () {
    const start = current === undefined ? 0 : rungs.indexOf(current)
    for (const rung of rungs.slice(start)) {
      const readings = yield* attempt(rung)
      if (Option.isNone(readings)) continue
      yield* report(rung)
      return answer(rung, readings.value)
    }
    // Nothing from here down: the next read starts at the top again.
    current = undefined
    const tried = rungs.flatMap(({ failed }) => failed ?? [])
    const description = tried.map((found) => `${found.source}: ${found.reason}`).join(", ")
    return yield* new GpuProbeError({ source, reason: new NoneWorked({ tried, description }) })
  })

  /** Tries what is better than the one that answers now. Beside the reads, which therefore never wait for a probe that is known not to work. */
  const climb = Effect.gen(function* () {
    if (current === undefined) return
    for (const rung of rungs.slice(0, rungs.indexOf(current))) {
      if (Option.isSome(yield* attempt(rung))) return yield* report(rung)
    }
  })
  const climbing = Effect.gen(function* () {
    for (;;) {
      yield* degraded.await
      // Soon at first: a driver that takes its time to initialise is the most common reason.
      for (
        let pause = Duration.seconds(1);
        current !== rungs[0];
        pause = Duration.min(Duration.times(pause, 2), retry)
      ) {
        yield* Effect.sleep(Duration.min(pause, retry))
        yield* climb
      }
      yield* degraded.close
    }
  })
  yield* Effect.forkScoped(climbing)

  // Each probe keeps its own limit; this one only bounds a walk past several that all run into theirs.
  const read = yield* Flight.shared(source, Duration.seconds(5), once)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Reads from the first probe that shows a device, and says why the ones before it do not.
 *
 * **Details**
 *
 * When the one that answers fails, the same read goes on to the next, and a warning is logged. The better ones are tried again after 1, 2, 4, … seconds, beside
 * the reads, and take over when they work. `passedOver` of each reading names them and what is wrong.
 *
 * **Gotchas**
 *
 * A worse probe may show other devices: below the last that sees GPUs there is often only the system's memory. What is not shown is unknown, not free.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Probes extends readonly [AnyProbe, ...ReadonlyArray<AnyProbe>]>(
  probes: Probes,
  options?: {
    /** The longest pause between two attempts to climb back. Defaults to 30 seconds. */
    readonly retry?: Duration.Input | undefined
  },
): Layer.Layer<GpuProbe, Layer.Error<Probes[number]>, Layer.Services<Probes[number]>> =>
  Layer.effect(
    GpuProbe,
    Effect.gen(function* () {
      const all: ReadonlyArray<
        Layer.Layer<GpuProbe, Layer.Error<Probes[number]>, Layer.Services<Probes[number]>>
      > = probes
      const built = yield* Effect.forEach(all, (probe) => Effect.map(Layer.build(probe), Context.get(GpuProbe)))
      return yield* make(built, Duration.fromInputUnsafe(options?.retry ?? "30 seconds"))
    }),
  )

const noDevice = new NotSupported({ description: "it shows no device" })
