/**
 * Asks the helper process, and deals with one that hangs or ends.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Option, Schema, type Scope } from "effect"
import { Failed, GpuProbeError, GpuProbeReason, NotSupported, Timeout } from "../../../services/GpuProbe.ts"
import * as Flight from "../probes/flight.ts"
import * as Child from "./child.ts"
import type { Answer, Ask, Failure } from "./protocol.ts"

/** @category models @since 0.1.0 */
export interface Options {
  readonly source: string
  readonly libraries: ReadonlyArray<string>
  readonly processes: boolean
  /** Starts a helper. */
  readonly start: () => Child.Child
  /** For one read by a helper that has the library open. */
  readonly deadline: Duration.Duration
  /** For loading and initialising. */
  readonly openDeadline: Duration.Duration
  /** After the first failure; it doubles up to `backoffMax`. */
  readonly backoff: Duration.Duration
  readonly backoffMax: Duration.Duration
}

/** @category models @since 0.1.0 */
export interface Client {
  /** One exchange. Not to be run twice at the same time. */
  readonly ask: Effect.Effect<Answer, GpuProbeError>
  /** The helper that is running now. */
  readonly pid: Effect.Effect<Option.Option<number>>
  /** Whether it has the library open. */
  readonly opened: () => boolean
}

/** What the child must be told to go away for. */
type Verdict = { readonly keep: true; readonly answer: Answer } | {
  readonly keep: false
  readonly error: GpuProbeError
}

const decodeReason = Schema.decodeUnknownOption(GpuProbeReason)

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Client, never, Scope.Scope> {
  const { source } = options
  const clock = yield* Clock.Clock
  let child: Child.Child | undefined
  /** Killed, and perhaps not gone. There is never more than this one. */
  let unreaped: Child.Child | undefined
  let asked = 0
  let failures = 0
  let notBefore = 0
  let last: GpuProbeError | undefined
  const fail = (reason: GpuProbeReason) => new GpuProbeError({ source, reason })

  const letGo = (): void => {
    if (child === undefined) return
    child.kill()
    unreaped = child
    child = undefined
  }
  yield* Effect.addFinalizer(() => Effect.sync(letGo))

  const exchange = (running: Child.Child): Effect.Effect<Answer, GpuProbeError> =>
    Effect.callback((resume) => {
      const ask: Ask = { id: ++asked, libraries: options.libraries, processes: options.processes }
      running.listen({
        line: (line) => {
          if (!("id" in line) || line.id !== ask.id) return
          resume("failure" in line ? Effect.fail(fail(reasonOf(line.failure))) : Effect.succeed(line))
        },
        ended: (why) =>
          resume(Effect.fail(fail(new Failed({ code: Option.none(), description: `the helper process ${why}` })))),
      })
      running.send(ask)
    })

  /** Ends when the helper has had its time: a long one until the library is open, a short one for the rest. */
  const watchdog = Effect.fnUntraced(function* (running: Child.Child) {
    const started = clock.currentTimeMillisUnsafe()
    while (!running.opened()) {
      if (clock.currentTimeMillisUnsafe() - started >= Duration.toMillis(options.openDeadline)) {
        return yield* fail(Flight.timeout(options.openDeadline))
      }
      yield* Effect.sleep(Duration.min(options.openDeadline, Duration.millis(50)))
    }
    yield* Effect.sleep(options.deadline)
    return yield* fail(Flight.timeout(options.deadline))
  })

  const settle = (verdict: Verdict): Effect.Effect<Answer, GpuProbeError> => {
    if (verdict.keep) {
      failures = 0
      return Effect.succeed(verdict.answer)
    }
    letGo()
    const millis = Duration.toMillis(options.backoff) * 2 ** Math.min(failures++, 30)
    notBefore = clock.currentTimeMillisUnsafe() + Math.min(millis, Duration.toMillis(options.backoffMax))
    last = verdict.error
    return Effect.fail(verdict.error)
  }

  const ask = Effect.suspend(() => {
    if (Child.isHelper()) return Effect.fail(fail(ownRuntime))
    if (child?.gone() === true) child = undefined
    if (child === undefined) {
      if (last !== undefined && clock.currentTimeMillisUnsafe() < notBefore) return Effect.fail(last)
      if (unreaped !== undefined && !unreaped.gone()) return Effect.fail(fail(stuck(unreaped)))
      unreaped = undefined
      child = options.start()
    }
    return Effect.raceFirst(exchange(child), watchdog(child)).pipe(
      Effect.matchEffect({
        onSuccess: (answer) => settle({ keep: true, answer }),
        onFailure: (error) => settle({ keep: false, error }),
      }),
    )
  })
  return {
    ask,
    pid: Effect.sync(() => Option.fromUndefinedOr(child?.gone() === false ? child.pid : undefined)),
    opened: () => child?.gone() === false && child.opened(),
  }
})

const ownRuntime = new NotSupported({
  description: "this program is its own runtime and cannot run the helper: say what can, with the option `helper`",
})

const stuck = ({ pid }: Child.Child): Timeout =>
  new Timeout({ description: `helper process ${pid} was killed and has not gone: a call into the driver hangs` })

const reasonOf = (failure: Failure): GpuProbeReason =>
  Option.getOrElse(
    decodeReason(failure),
    () => new Failed({ code: Option.fromNullOr(failure.code), description: failure.description }),
  )
