/**
 * Asks the guards one after the other. Each has its time limit, its metrics, and a rule for what its failure means.
 *
 * @since 0.1.0
 */
import { type Clock, type Context, Duration, Effect, Exit, Fiber } from "effect"
import { clientGone } from "../../services/Outcome.ts"
import type { Guard, GuardInput, Verdict } from "../../services/Plugin.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { rewrite } from "../../wire/splice.ts"
import { GuardMeter } from "./guardMeter.ts"
import type { Run } from "./requestState.ts"

interface MeteredGuard<R> {
  readonly guard: Guard<R>
  readonly meter: GuardMeter
  readonly limit: Duration.Duration
}

/** @internal */
export interface Guards {
  /** Asks the guards from an index on. `undefined` when all have passed without a step of the fiber. */
  readonly ask: (run: Run, from: number) => Effect.Effect<void, Refusal> | undefined
  /** After a defect: the index of the next guard if the defect was in a guard that fails open, else `undefined`. */
  readonly passOver: (run: Run) => number | undefined
}

type Fork<R> = (check: Effect.Effect<Verdict, never, R>) => Fiber.Fiber<Verdict>

class GuardChain<R> implements Guards {
  private readonly all: ReadonlyArray<MeteredGuard<R>>
  private readonly clock: Clock.Clock
  private readonly fork: Fork<R>

  constructor(all: ReadonlyArray<MeteredGuard<R>>, clock: Clock.Clock, fork: Fork<R>) {
    this.all = all
    this.clock = clock
    this.fork = fork
  }

  ask(run: Run, from: number): Effect.Effect<void, Refusal> | undefined {
    const { all, clock } = this
    for (let i = from; i < all.length; i++) {
      const asked = all[i]!
      if (asked.guard.isOff?.() === true) continue
      run.guard = i
      const sampled = asked.meter.isSampled()
      const since = sampled ? clock.currentTimeNanosUnsafe() : 0n
      const verdict = asked.guard.check(run.request)
      if (Effect.isEffect(verdict)) return this.later(run, i, asked, verdict)
      if (sampled) asked.meter.took(clock.currentTimeNanosUnsafe() - since)
      if (verdict._tag === "Pass" && verdict.settled !== undefined) run.settledGuards.push(verdict.settled)
      const refused = applied(run, verdict, asked.meter)
      if (refused !== undefined) return refused
    }
    run.guard = -1
    // Only here: an earlier guard's model can be replaced by a later guard.
    if (run.renamed) run.reply.annotate(["X-Llamero-Model", run.model])
    return undefined
  }

  /**
   * Runs a check that is an Effect, then asks the guards after it. The check gets a fiber of its own, so that it always
   * runs to its end. Most checks have ended when the fiber is first looked at.
   */
  private later(
    run: Run,
    index: number,
    { guard, limit, meter }: MeteredGuard<R>,
    check: Effect.Effect<Verdict, never, R>,
  ): Effect.Effect<void, Refusal> {
    const since = this.clock.currentTimeNanosUnsafe()
    const fiber = this.fork(check)
    // Registered at once: the guard hears how the request ended even if the request does not wait for the check.
    fiber.addObserver((exit) => {
      if (!Exit.isSuccess(exit) || exit.value._tag === "Refusal" || exit.value.settled === undefined) return
      if (run.settled) exit.value.settled(clientGone)
      else run.settledGuards.push(exit.value.settled)
    })
    const done = fiber.pollUnsafe()
    const ended = done === undefined ? within(fiber, limit) : Effect.succeed(done)
    return Effect.flatMap(ended, (exit): Effect.Effect<void, Refusal> => {
      meter.took(this.clock.currentTimeNanosUnsafe() - since)
      if (exit !== undefined && Exit.isFailure(exit)) return Effect.failCause(exit.cause)
      if (exit !== undefined) return applied(run, exit.value, meter) ?? this.ask(run, index + 1) ?? Effect.void
      meter.fail()
      return guard.fails === "open" ? this.ask(run, index + 1) ?? Effect.void : Effect.fail(tooLate)
    })
  }

  passOver(run: Run): number | undefined {
    const asked = this.all[run.guard]
    if (asked === undefined) return undefined
    asked.meter.fail()
    const next = run.guard + 1
    run.guard = -1
    return asked.guard.fails === "open" ? next : undefined
  }
}

/** Resolves the guards' own Effects and makes their metrics. @internal */
export const make = Effect.fnUntraced(function* <R>(
  inputs: ReadonlyArray<GuardInput<R>>,
  clock: Clock.Clock,
): Effect.fn.Return<Guards, never, R> {
  const context = yield* Effect.context<R>()
  const guards = yield* Effect.forEach(inputs, (input) => Effect.isEffect(input) ? input : Effect.succeed(input))
  const metered = guards.map((guard): MeteredGuard<R> => ({
    guard,
    meter: new GuardMeter(guard.name, context as Context.Context<never>),
    limit: Duration.fromInputUnsafe(guard.timeLimit ?? "5 seconds"),
  }))
  return new GuardChain(metered, clock, Effect.runForkWith(context))
})

/** Applies a verdict to the run. `undefined` when it is a pass. */
const applied = (run: Run, verdict: Verdict, meter: GuardMeter): Effect.Effect<never, Refusal> | undefined => {
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

/** The end of a check; `undefined` when the time limit has passed. The fiber goes on all the same. */
const within = (fiber: Fiber.Fiber<Verdict>, limit: Duration.Duration): Effect.Effect<Exit.Exit<Verdict> | undefined> =>
  Effect.timeoutOrElse(Fiber.await(fiber), { duration: limit, orElse: () => Effect.undefined })

const tooLate = refuse("Internal", "the router could not check this request in time", { status: 503, retryAfter: 1 })
