/**
 * Synchronous listeners.
 *
 * @since 0.1.0
 */

/** A set of listeners called in the order they came. @category models @since 0.1.0 */
export interface Listeners<A> {
  /** Returns the way to stop. */
  readonly add: (listener: (value: A) => void) => () => void
  readonly notify: (value: A) => void
}

/** An empty set of listeners. @category constructors @since 0.1.0 */
export const make = <A>(): Listeners<A> => {
  const listeners = new Set<{ readonly call: (value: A) => void }>()
  return {
    add: (listener) => {
      // Wrapped, so that one function registered twice is two listeners with two ways to stop.
      const entry = { call: listener }
      listeners.add(entry)
      return () => {
        listeners.delete(entry)
      }
    },
    notify: (value) => {
      for (const { call } of listeners) call(value)
    },
  }
}
