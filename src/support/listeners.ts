/**
 * Synchronous listeners.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"

/**
 * A set of listeners, called in the order in which they were added.
 *
 * **Details**
 *
 * Not a `PubSub`: its subscribers are fibers, and a listener here has to run before `notify` returns.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listeners<A> {
  /** Adds a listener and returns the function that removes it. */
  readonly add: (listener: (value: A) => void) => () => void
  /** Calls every listener, also after one that throws. */
  readonly notify: (value: A) => void
}

const rethrow = (errors: ReadonlyArray<unknown>): void => {
  throw errors.length === 1 ? errors[0] : new AggregateError(errors, "listeners failed")
}

/**
 * An empty set of listeners. `failed` gets the errors that the listeners threw, once all of them were called; by
 * default `notify` throws them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(failed: (errors: ReadonlyArray<unknown>) => void = rethrow): Listeners<A> => {
  const listeners = new Set<{ readonly call: (value: A) => void }>()
  return {
    add: (listener) => {
      // Wrapped, because one function that is added twice has to be two listeners that are removed separately.
      const entry = { call: listener }
      listeners.add(entry)
      return () => {
        listeners.delete(entry)
      }
    },
    notify: (value) => {
      let errors: Array<unknown> | undefined
      for (const { call } of listeners) {
        try {
          call(value)
        } catch (error) {
          errors ??= []
          errors.push(error)
        }
      }
      if (errors !== undefined) failed(errors)
    },
  }
}

/**
 * An empty set of listeners whose errors are logged, so that `notify` never throws. `subject` says in the log what the
 * listeners are told about.
 *
 * @category constructors
 * @since 0.1.0
 */
export const logged = <A>(subject: string): Effect.Effect<Listeners<A>> =>
  Effect.map(Effect.context<never>(), (context) => {
    const run = Effect.runForkWith(context)
    return make<A>((errors) => {
      run(Effect.logError(`listeners of ${subject} failed`, ...errors))
    })
  })
