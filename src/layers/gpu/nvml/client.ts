/**
 * Starts the helper process, asks it, and replaces one that hangs or ends.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Option, type Scope } from "effect"
import { GpuProbeError, type GpuProbeReason, NotSupported, Timeout } from "../../../services/GpuProbe.ts"
import * as AnswerOf from "./answer.ts"
import * as Child from "./child.ts"
import type { Answer } from "./protocol.ts"

/** @category models @since 0.1.0 */
export interface Options extends AnswerOf.Limits {
  readonly source: string
  readonly libraries: ReadonlyArray<string>
  readonly processes: boolean
  /** Starts a helper. */
  readonly start: () => Child.Child
  /** Pause after the first failure; it doubles with each further one, up to `backoffMax`. */
  readonly backoff: Duration.Duration
  readonly backoffMax: Duration.Duration
}

/** @category models @since 0.1.0 */
export interface Client {
  /** Asks once. Must not run twice at the same time. */
  readonly ask: Effect.Effect<Answer, GpuProbeError>
  /** The helper that is running now. */
  readonly pid: Effect.Effect<Option.Option<number>>
  /** Whether the helper has the library open. */
  readonly opened: () => boolean
}

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Client, never, Scope.Scope> {
  const { libraries, processes, source } = options
  const clock = yield* Clock.Clock
  let child: Child.Child | undefined
  /** A helper that was killed and may still be there. There is never more than one of them. */
  let unreaped: Child.Child | undefined
  let asked = 0
  let failures = 0
  let notBefore = 0
  let last: GpuProbeError | undefined
  const fail = (reason: GpuProbeReason) => Effect.fail(new GpuProbeError({ source, reason }))

  const letGo = (): void => {
    if (child === undefined) return
    child.kill()
    unreaped = child
    child = undefined
  }
  yield* Effect.addFinalizer(() => Effect.sync(letGo))

  const failed = (error: GpuProbeError) =>
    Effect.sync(() => {
      letGo()
      const millis = Duration.toMillis(options.backoff) * 2 ** Math.min(failures++, 30)
      notBefore = clock.currentTimeMillisUnsafe() + Math.min(millis, Duration.toMillis(options.backoffMax))
      last = error
    })

  const ask = Effect.suspend(() => {
    if (Child.isHelper()) return fail(ownRuntime)
    if (child?.gone() === true) child = undefined
    if (child === undefined) {
      if (last !== undefined && clock.currentTimeMillisUnsafe() < notBefore) return Effect.fail(last)
      if (unreaped !== undefined && !unreaped.gone()) return fail(stuck(unreaped))
      unreaped = undefined
      child = options.start()
    }
    return AnswerOf.within(options, child, { id: ++asked, libraries, processes }, source).pipe(
      Effect.tap(() => Effect.sync(() => void (failures = 0))),
      Effect.tapError(failed),
    )
  })
  return {
    ask,
    pid: Effect.sync(() => Option.fromUndefinedOr(child?.gone() === false ? child.pid : undefined)),
    opened: () => child?.gone() === false && child.opened(),
  }
})

const ownRuntime = new NotSupported({
  description: "this program is its own runtime and cannot run the helper: name a command with the option `helper`",
})

const stuck = ({ pid }: Child.Child): Timeout =>
  new Timeout({ description: `helper process ${pid} was killed and has not gone: a call into the driver hangs` })
