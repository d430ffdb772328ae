/**
 * Checks that any test runner can run, and properties over generated values.
 *
 * @since 0.1.0
 */
import { Arbitrary, Cause, Clock, Context, Duration, Effect, Exit, Fiber, Layer, Schema, type Scope } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { listed, Outstanding, OutstandingCalls } from "./outstanding.ts"
import type { TaggedErrorClass } from "../services/taggedErrorClass.ts"

const ContractViolationBase: TaggedErrorClass<ContractViolation, "ContractViolation", {
  /** The name of the check. */
  readonly check: Schema.String
  /**
   * What was expected and what was found, with a stack. For a property also the smallest input found, and how to replay
   * it. For a check that missed its deadline the calls that never got an answer.
   */
  readonly message: Schema.String
}> = Schema.TaggedError<ContractViolation>()("ContractViolation", {
  check: Schema.String,
  message: Schema.String,
})

/** An implementation does not do what its contract says. @category errors @since 0.1.0 */
export class ContractViolation extends ContractViolationBase {}

/** A test clock of the check's own, and a console that prints nothing. */
const quiet = Layer.merge(TestClock.layer(), TestConsole.layer)

/** How long a check may take, in real time; see `within`. */
const Deadline = Context.Reference<Duration.Duration>("llamero/testing/Deadline", {
  defaultValue: () => Duration.seconds(30),
})

/** Real time, also where a test runner has put a test clock. */
const realTime = Clock.Clock.defaultValue()

/**
 * One thing that a contract asks for.
 *
 * **Details**
 *
 * It builds its layer anew and brings its own test clock, so it needs nothing and can run beside others. It ends by its
 * deadline: see `within`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  readonly run: Effect.Effect<void, ContractViolation>
}

/** What a contract makes of a layer. @category models @since 0.1.0 */
export type Contract<I> = (layer: Layer.Layer<I, unknown>) => ReadonlyArray<Check>

/**
 * The same checks with another deadline. Without it a check has 30 seconds.
 *
 * **Details**
 *
 * The deadline is in real time, also where the check runs in test time. A property has that long for each history. A
 * check that misses its deadline fails with the names of the calls that never got an answer.
 *
 * **Gotchas**
 *
 * An implementation that never gives the thread back, such as an endless loop, cannot be stopped by any deadline. A
 * test runner whose own limit is shorter ends the check first, without a word about what it waits for.
 *
 * @category running
 * @since 0.1.0
 */
export const within = (deadline: Duration.Input, checks: ReadonlyArray<Check>): ReadonlyArray<Check> => {
  const limit = Duration.fromInputUnsafe(deadline)
  return checks.map(({ name, run }) => ({ name, run: Effect.provideService(run, Deadline, limit) }))
}

const missed = (limit: Duration.Duration, calls: OutstandingCalls): string => {
  const names = calls.list()
  const history = calls.histories > 0 ? ` in history ${calls.histories}` : ""
  const what = names.length > 0
    ? `; what never got an answer:${listed(names)}`
    : ", and none of the calls that it tracks is open: the layer may never have been built"
  return `it did not end within ${Duration.format(limit)}${history}${what}`
}

/** Ends when no history has begun for as long as the deadline, and says which calls are open then. */
const deadline = (limit: Duration.Duration, calls: OutstandingCalls): Effect.Effect<string> =>
  Effect.gen(function* () {
    for (let seen = -1; seen !== calls.histories;) {
      seen = calls.histories
      yield* Effect.sleep(limit)
    }
    return missed(limit, calls)
  }).pipe(Effect.provideService(Clock.Clock, realTime))

/**
 * A check from an Effect that fails or dies where the contract does not hold. Time is real time: use it for what reads
 * files, starts processes or opens sockets.
 *
 * @category constructors
 * @since 0.1.0
 */
export const checkLive = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>): Check => ({
  name,
  run: Effect.gen(function* () {
    const limit = yield* Deadline
    const calls = new OutstandingCalls()
    const violation = (message: string) => new ContractViolation({ check: name, message })
    // In a fiber of its own, which is not waited for after the deadline: it may refuse to be interrupted.
    const fiber = yield* Effect.suspend(body).pipe(
      Effect.scoped,
      Effect.provideService(Outstanding, calls),
      Effect.forkDetach({ startImmediately: true }),
    )
    const exit = yield* Effect.raceFirst(Fiber.await(fiber), deadline(limit, calls)).pipe(
      Effect.onExit(() => Effect.sync(() => fiber.interruptUnsafe())),
    )
    if (typeof exit === "string") return yield* violation(exit)
    if (Exit.isFailure(exit)) return yield* violation(Cause.pretty(exit.cause))
  }),
})

/**
 * A check from an Effect that fails or dies where the contract does not hold. Time is `TestClock` time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>): Check =>
  checkLive(name, () => Effect.suspend(body).pipe(Effect.scoped, Effect.provide(quiet)))

type Inputs = Readonly<Record<string, Arbitrary.Arbitrary<unknown> | Schema.Schema<unknown>>>
type Values<I extends Inputs> = {
  readonly [K in keyof I]: I[K] extends Arbitrary.Arbitrary<infer A> ? A : I[K] extends Schema.Schema<infer A> ? A
  : never
}

const compiled = <I extends Inputs>(inputs: I) =>
  Arbitrary.all(
    Object.fromEntries(
      Object.entries(inputs).map((
        [key, input],
      ) => [key, Arbitrary.isArbitrary(input) ? input : Arbitrary.schema(input)]),
    ),
  ) as Arbitrary.Arbitrary<Values<I>>

/**
 * Runs `body` for many generated inputs, each with a test clock and a scope of its own. Dies with the smallest input
 * found for which `body` fails. The same `seed` gives the same inputs.
 *
 * **Details**
 *
 * Inside a check each input has the whole deadline of the check. An input for which `body` never ends is not made
 * smaller.
 *
 * **Gotchas**
 *
 * Generated arrays are short by default: `size: 80` makes arrays of some forty elements.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forAll = <const I extends Inputs>(
  inputs: I,
  body: (values: Values<I>) => Effect.Effect<unknown, unknown, Scope.Scope>,
  /** `runs` defaults to 100. */
  options?: Arbitrary.CheckOptions,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const calls = yield* Outstanding
    const result = yield* Arbitrary.checkEffect(
      compiled(inputs),
      (values) =>
        Effect.suspend(() => {
          calls.nextHistory()
          return body(values)
        }).pipe(
          Effect.scoped,
          Effect.provide(quiet),
          Effect.as(true),
          // A defect would end the property without a search for a smaller input.
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.fail(Cause.pretty(cause))
          ),
        ),
      options,
    )
    const failure = Arbitrary.formatCheckFailure(result)
    // The cause is quoted in it, with its lines escaped.
    if (failure !== undefined) yield* Effect.die(new Error(failure.replaceAll("\\n", "\n")))
  })

/** A check that is one property. @category constructors @since 0.1.0 */
export const property = <const I extends Inputs>(
  name: string,
  inputs: I,
  body: (values: Values<I>) => Effect.Effect<unknown, unknown, Scope.Scope>,
  options?: Arbitrary.CheckOptions,
): Check => check(name, () => forAll(inputs, body, options))

/**
 * Runs every check, one after the other, and gives the violations of those that do not hold: none when all hold.
 *
 * @category running
 * @since 0.1.0
 */
export const violations = (checks: ReadonlyArray<Check>): Effect.Effect<ReadonlyArray<ContractViolation>> =>
  Effect.map(
    Effect.forEach(checks, ({ run }) => Effect.match(run, { onFailure: (why) => [why], onSuccess: () => [] })),
    (found) => found.flat(),
  )
