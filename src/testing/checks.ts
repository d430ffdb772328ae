/**
 * Checks that any test runner can run, and properties over generated values.
 *
 * @since 0.1.0
 */
import { Arbitrary, Cause, Effect, Layer, Schema, type Scope } from "effect"
import { TestClock, TestConsole } from "effect/testing"

/** An implementation does not do what its contract says. @category errors @since 0.1.0 */
export class ContractViolation extends Schema.TaggedError<ContractViolation>()("ContractViolation", {
  /** The name of the check. */
  check: Schema.String,
  /** What was expected and what there was, with a stack; of a property also the shortest history found and how to replay it. */
  message: Schema.String,
}) {}

/** No time but what a check lets pass, and no word of what the subject logs. */
const quiet = Layer.merge(TestClock.layer(), TestConsole.layer)

/**
 * One thing that a contract asks for. It builds its layer anew and brings its own test clock, so it needs nothing and can run beside others.
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
 * A check from an Effect that fails or dies where the contract does not hold, in real time: for what reads files, starts processes or opens sockets.
 *
 * @category constructors
 * @since 0.1.0
 */
export const checkLive = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>): Check => ({
  name,
  run: Effect.suspend(body).pipe(
    Effect.scoped,
    Effect.asVoid,
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.fail(new ContractViolation({ check: name, message: Cause.pretty(cause) }))
    ),
  ),
})

/** A check from an Effect that fails or dies where the contract does not hold. Time is `TestClock` time. @category constructors @since 0.1.0 */
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
 * Runs `body` for many generated inputs, each with a test clock and a scope of its own, and dies with the smallest input found for which it fails. The same
 * `seed` gives the same inputs.
 *
 * **Gotchas**
 *
 * Histories are short by default: `size: 80` makes arrays of some forty elements.
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
  Effect.flatMap(
    Arbitrary.checkEffect(
      compiled(inputs),
      (values) =>
        Effect.suspend(() => body(values)).pipe(
          Effect.scoped,
          Effect.provide(quiet),
          Effect.as(true),
          // A defect would end it all without looking for a smaller input.
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.fail(Cause.pretty(cause))
          ),
        ),
      options,
    ),
    (result) => {
      const failure = Arbitrary.formatCheckFailure(result)
      return failure === undefined ? Effect.void : Effect.die(new Error(failure))
    },
  )

/** A check that is one property. @category constructors @since 0.1.0 */
export const property = <const I extends Inputs>(
  name: string,
  inputs: I,
  body: (values: Values<I>) => Effect.Effect<unknown, unknown, Scope.Scope>,
  options?: Arbitrary.CheckOptions,
): Check => check(name, () => forAll(inputs, body, options))

/** Runs every check, one after the other, and gives those that do not hold; empty when all do. @category running @since 0.1.0 */
export const violations = (checks: ReadonlyArray<Check>): Effect.Effect<ReadonlyArray<ContractViolation>> =>
  Effect.map(
    Effect.forEach(checks, ({ run }) => Effect.match(run, { onFailure: (why) => [why], onSuccess: () => [] })),
    (found) => found.flat(),
  )
