/**
 * One answer of a running helper process, within its time limits.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Option, Schema } from "effect"
import { Failed, GpuProbeError, GpuProbeReason } from "../../../services/GpuProbe.ts"
import * as SharedRead from "../probes/sharedRead.ts"
import type * as Child from "./child.ts"
import type { Answer, Ask, Failure } from "./protocol.ts"

/** @internal */
export interface Limits {
  /** For one read by a helper that has the library open. */
  readonly deadline: Duration.Duration
  /** For loading and initialising the library. */
  readonly openDeadline: Duration.Duration
}

const decodeReason = Schema.decodeUnknownOption(GpuProbeReason)

const reasonOf = (failure: Failure): GpuProbeReason =>
  Option.getOrElse(
    decodeReason(failure),
    () => new Failed({ code: Option.fromNullOr(failure.code), description: failure.description }),
  )

/** Sends one request and waits for the line that answers it, or for the end of the process. */
const ask = (child: Child.Child, request: Ask, source: string): Effect.Effect<Answer, GpuProbeError> =>
  Effect.callback((resume) => {
    const fail = (reason: GpuProbeReason) => resume(Effect.fail(new GpuProbeError({ source, reason })))
    child.listen({
      line: (line) => {
        if (!("id" in line) || line.id !== request.id) return
        if ("failure" in line) fail(reasonOf(line.failure))
        else resume(Effect.succeed(line))
      },
      ended: (why) => fail(new Failed({ code: Option.none(), description: `the helper process ${why}` })),
    })
    child.send(request)
  })

/** Fails when the time is over: a long limit until the library is open, then a short one for the read. */
const watchdog = Effect.fnUntraced(function* (child: Child.Child, { deadline, openDeadline }: Limits, source: string) {
  const clock = yield* Clock.Clock
  const timeout = (limit: Duration.Duration) => new GpuProbeError({ source, reason: SharedRead.timeout(limit) })
  const started = clock.currentTimeMillisUnsafe()
  while (!child.opened()) {
    if (clock.currentTimeMillisUnsafe() - started >= Duration.toMillis(openDeadline)) {
      return yield* timeout(openDeadline)
    }
    yield* Effect.sleep(Duration.min(openDeadline, Duration.millis(50)))
  }
  yield* Effect.sleep(deadline)
  return yield* timeout(deadline)
})

/** @internal */
export const within = (
  limits: Limits,
  child: Child.Child,
  request: Ask,
  source: string,
): Effect.Effect<Answer, GpuProbeError> =>
  Effect.raceFirst(ask(child, request, source), watchdog(child, limits, source))
