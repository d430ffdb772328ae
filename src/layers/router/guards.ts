/**
 * Guards asked one after the other, each with its failure rule, its time limit and its metrics.
 *
 * @since 0.1.0
 */
import { type Clock, type Context, Duration, Effect, Exit, Fiber, Metric } from "effect"
import { clientGone } from "../../services/Outcome.ts"
import type { Guard, GuardInput, Verdict } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { rewrite } from "../../wire/splice.ts"
import type { Run } from "./run.ts"

type Labels = Readonly<Record<string, string>>

const verdicts = (attributes: Labels) =>
  Metric.counter("llamero_guard_verdicts_total", {
    description: "Requests that a guard let pass, refused, or failed on",
    incremental: true,
    attributes,
  })
const durations = (attributes: Labels) =>
  Metric.histogram("llamero_guard_duration_seconds", {
    description: "Duration of a guard's check; of checks that need no I/O every 64th is measured",
    boundaries: [0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1, 5],
    attributes,
  })

/** A clock read costs more than most checks. */
const sampleEvery = 64

/** What is counted of one guard, each series made once. */
class Meter {
  private checks = 0
  private readonly context: Context.Context<never>
  private readonly passed: Metric.Counter<number>
  private readonly refused: Metric.Counter<number>
  private readonly failed: Metric.Counter<number>
  private readonly duration: Metric.Histogram<number>

  constructor(guard: string, context: Context.Context<never>) {
    this.context = context
    this.passed = verdicts({ guard, verdict: "pass" })
    this.refused = verdicts({ guard, verdict: "refuse" })
    this.failed = verdicts({ guard, verdict: "fail" })
    this.duration = durations({ guard })
  }

  isSampled(): boolean {
    return this.checks++ % sampleEvery === 0
  }
  pass(): void {
    this.passed.updateUnsafe(1, this.context)
  }
  refuse(): void {
    this.refused.updateUnsafe(1, this.context)
  }
  fail(): void {
    this.failed.updateUnsafe(1, this.context)
  }
  took(nanos: bigint): void {
    this.duration.updateUnsafe(Number(nanos) / 1e9, this.context)
  }
}

interface Asked<R> {
  readonly guard: Guard<R>
  readonly meter: Meter
  readonly limit: Duration.Duration
}

/** @internal */
export interface Guards {
  /** `undefined` when all have passed without a step of the fiber. */
  readonly ask: (run: Run, from: number) => Effect.Effect<void, Refusal> | undefined
  /** After a defect: where to go on, when it was in a guard that fails open. */
  readonly passOver: (run: Run) => number | undefined
}

/** @internal */
export const make = Effect.fnUntraced(function* <R>(
  inputs: ReadonlyArray<GuardInput<R>>,
  clock: Clock.Clock,
): Effect.fn.Return<Guards, never, R> {
  const context = yield* Effect.context<R>()
  const guards = yield* Effect.forEach(inputs, (input) => Effect.isEffect(input) ? input : Effect.succeed(input))
  const fork = Effect.runForkWith(context)
  const all = guards.map((guard): Asked<R> => ({
    guard,
    meter: new Meter(guard.name, context as Context.Context<never>),
    limit: Duration.fromInputUnsafe(guard.timeLimit ?? "5 seconds"),
  }))

  const decided = (run: Run, verdict: Verdict, { meter }: Asked<R>): Effect.Effect<never, Refusal> | undefined => {
    if (verdict._tag === "Refusal") {
      meter.refuse()
      return Effect.fail(verdict)
    }
    meter.pass()
    const { headers, request } = verdict
    if (headers !== undefined) run.reply.annotate(headers)
    if (verdict.rewrite === undefined) run.request = request
    else {
      run.request = { ...request, ...rewrite(request.body, request.envelope, request.endpoint, verdict.rewrite) }
      run.model = run.request.envelope.model
      run.renamed ||= verdict.rewrite.model !== undefined
    }
    return undefined
  }

  const ask: Guards["ask"] = (run, from) => {
    for (let i = from; i < all.length; i++) {
      const asked = all[i]!
      run.guard = i
      const sampled = asked.meter.isSampled()
      const since = sampled ? clock.currentTimeNanosUnsafe() : 0n
      const verdict = asked.guard.check(run.request)
      if (Effect.isEffect(verdict)) return later(run, i, asked, verdict)
      if (sampled) asked.meter.took(clock.currentTimeNanosUnsafe() - since)
      if (verdict._tag === "Pass" && verdict.settled !== undefined) run.settledGuards.push(verdict.settled)
      const refused = decided(run, verdict, asked)
      if (refused !== undefined) return refused
    }
    run.guard = -1
    // Once, when no guard is left that could choose yet another.
    if (run.renamed) run.reply.annotate(["X-Llamero-Model", run.model])
    return undefined
  }

  /** In a fiber of its own, so that it always comes to its end; most have, by the time they are looked at. */
  const later = (
    run: Run,
    index: number,
    asked: Asked<R>,
    check: Effect.Effect<Verdict, never, R>,
  ): Effect.Effect<void, Refusal> => {
    const since = clock.currentTimeNanosUnsafe()
    const fiber = fork(check)
    // At the very moment of its end: whatever becomes of the request from here on, the guard hears of it.
    fiber.addObserver((exit) => {
      if (!Exit.isSuccess(exit) || exit.value._tag === "Refusal" || exit.value.settled === undefined) return
      if (run.settled) exit.value.settled(clientGone)
      else run.settledGuards.push(exit.value.settled)
    })
    const done = fiber.pollUnsafe()
    const ended = done === undefined ? within(fiber, asked.limit) : Effect.succeed(done)
    return Effect.flatMap(ended, (exit): Effect.Effect<void, Refusal> => {
      asked.meter.took(clock.currentTimeNanosUnsafe() - since)
      if (exit !== undefined && Exit.isFailure(exit)) return Effect.failCause(exit.cause)
      if (exit !== undefined) return decided(run, exit.value, asked) ?? ask(run, index + 1) ?? Effect.void
      asked.meter.fail()
      return asked.guard.fails === "open" ? ask(run, index + 1) ?? Effect.void : Effect.fail(tooLate)
    })
  }

  const passOver = (run: Run): number | undefined => {
    const asked = all[run.guard]
    if (asked === undefined) return undefined
    asked.meter.fail()
    const next = run.guard + 1
    run.guard = -1
    return asked.guard.fails === "open" ? next : undefined
  }

  return { ask, passOver }
})

/** `undefined` when the time limit has passed. The fiber goes on all the same. */
const within = (fiber: Fiber.Fiber<Verdict>, limit: Duration.Duration): Effect.Effect<Exit.Exit<Verdict> | undefined> =>
  Effect.timeoutOrElse(Fiber.await(fiber), { duration: limit, orElse: () => Effect.undefined })

const tooLate = refuse("Internal", "the router could not check this request in time", { status: 503, retryAfter: 1 })
