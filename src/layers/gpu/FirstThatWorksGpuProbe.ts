/**
 * Several probes in order of preference: the first that works answers.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Latch, Layer } from "effect"
import { GpuProbe } from "../../services/GpuProbe.ts"
import * as Chain from "./probes/chain.ts"
import * as SharedRead from "./probes/sharedRead.ts"

// A constraint on the shape only. The errors and needs of each layer come out in the type of the whole chain.
// deno-lint-ignore no-explicit-any
type AnyProbe = Layer.Layer<GpuProbe, any, any>

const source = "first-that-works"

const make = Effect.fnUntraced(function* (probes: ReadonlyArray<GpuProbe["Service"]>, retry: Duration.Duration) {
  const degraded = yield* Latch.make()
  const chain = Chain.make(source, probes, () => degraded.openUnsafe())

  // Runs beside the reads, so that no read waits for a probe that is known to fail.
  const climbing = Effect.gen(function* () {
    for (;;) {
      yield* degraded.await
      // The first pauses are short: the most common reason is a driver that takes a few seconds to initialise.
      for (
        let pause = Duration.seconds(1);
        !chain.isBest();
        pause = Duration.min(Duration.times(pause, 2), retry)
      ) {
        yield* Effect.sleep(Duration.min(pause, retry))
        yield* chain.climb
      }
      yield* degraded.close
    }
  })
  yield* Effect.forkScoped(climbing)

  // Each probe has a limit of its own. This one bounds a read that goes past several probes that run into theirs.
  const read = yield* SharedRead.make(source, Duration.seconds(5), chain.read)
  return GpuProbe.of({ source, read: Effect.withSpan(read, "GpuProbe.read", { attributes: { source } }) })
})

/**
 * Reads from the first probe that shows a device, and says why the probes before it do not.
 *
 * **Details**
 *
 * When the probe that answers fails, the same read goes on to the next one, and a warning is logged. The probes before
 * the one that answers are tried again after 1, 2, 4, … seconds, beside the reads, and take over when they work.
 * `passedOver` of each reading names them and their errors.
 *
 * **Gotchas**
 *
 * A later probe may show other devices: behind the last one that sees GPUs there is often only the system's memory. A
 * device that is not shown is unknown, not free.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Probes extends readonly [AnyProbe, ...ReadonlyArray<AnyProbe>]>(
  probes: Probes,
  options?: {
    /** The longest pause between two attempts with the better probes. Defaults to 30 seconds. */
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
