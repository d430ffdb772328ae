/** Checkers of invariants, and what passes observations to them. */
import type { Observations } from "./observations.ts"

/** Checks one invariant by the observations that it asks for. @category models @since 0.1.0 */
export interface Checker {
  /** The number of the invariant, from 1 to 10. */
  readonly invariant: number
  readonly name: string
  /** Called for each observation of that name. A text that is returned is a violation, in words. */
  readonly on: { readonly [K in keyof Observations]?: (what: Observations[K]) => string | undefined | void }
  /**
   * How often each situation occurred in which a wrong router could have broken the invariant, by a name of the
   * situation. A count of 0 means that the run says nothing about it.
   */
  readonly exercised: () => Readonly<Record<string, number>>
}

/** An invariant that did not hold. @category models @since 0.1.0 */
export interface Violation {
  /** Its number, from 1 to 10; `0` for an error that the router logged. */
  readonly invariant: number
  /** The name of its checker. */
  readonly checker: string
  /** What was observed, in words. */
  readonly what: string
}

/** How often an invariant was exercised. @category models @since 0.1.0 */
export interface Exercise {
  readonly invariant: number
  readonly checker: string
  /** By situation, as in `Checker.exercised`. */
  readonly situations: Readonly<Record<string, number>>
}

type Listener = (what: never) => string | undefined | void

/** Passes each observation to the checkers that ask for it, and keeps the violations. @category models @since 0.1.0 */
export class Watch {
  readonly violations: Array<Violation> = []
  private readonly checkers: ReadonlyArray<Checker>
  private readonly listeners = new Map<string, Array<{ readonly by: Checker; readonly listen: Listener }>>()

  constructor(checkers: ReadonlyArray<Checker>) {
    this.checkers = checkers
    for (const by of checkers) {
      for (const [name, listen] of Object.entries(by.on)) {
        const others = this.listeners.get(name) ?? []
        this.listeners.set(name, others)
        others.push({ by, listen })
      }
    }
  }

  tell<K extends keyof Observations>(name: K, what: Observations[K]): void {
    const listeners = this.listeners.get(name)
    if (listeners === undefined) return
    for (const { by, listen } of listeners) {
      // The listeners under a name are those of that name.
      const wrong = (listen as (what: Observations[K]) => string | undefined | void)(what)
      if (typeof wrong === "string") this.violations.push({ invariant: by.invariant, checker: by.name, what: wrong })
    }
  }

  /** How often each checker's invariant was exercised so far. */
  exercised(): ReadonlyArray<Exercise> {
    return this.checkers.map(({ exercised, invariant, name }) => ({
      invariant,
      checker: name,
      situations: exercised(),
    }))
  }
}
