/**
 * A value that can change while the router runs, such as the options that a reload replaces.
 *
 * @since 0.1.0
 */

const TypeId = "llamero/services/Live"

/**
 * A value now. Whoever needs it reads `now` each time, and keeps what it read only for as long as one decision takes.
 *
 * **Details**
 *
 * It is a property and not an Effect, since every request reads some of them: to read one takes no fiber and allocates
 * nothing. Values are replaced and never changed in place, so what was read stays whole. Several of them that are set
 * in one synchronous step change at once for everybody.
 *
 * @category models
 * @since 0.1.0
 */
export interface Live<out A> {
  readonly [TypeId]: typeof TypeId
  readonly now: A
}

/** A value that its owner replaces. @category models @since 0.1.0 */
export interface Settable<in out A> extends Live<A> {
  readonly set: (next: A) => void
}

/** An option that is fixed, or that can change while the router runs. @category models @since 0.1.0 */
export type Input<A> = A | Live<A>

class Cell<A> implements Settable<A> {
  readonly [TypeId]: typeof TypeId = TypeId
  now: A

  constructor(initial: A) {
    this.now = initial
  }

  readonly set = (next: A): void => {
    this.now = next
  }
}

class Mapped<A, B> implements Live<B> {
  readonly [TypeId]: typeof TypeId = TypeId
  private readonly source: Live<A>
  private readonly f: (value: A) => B
  private seen: A
  private made: B

  constructor(source: Live<A>, f: (value: A) => B) {
    this.source = source
    this.f = f
    this.seen = source.now
    this.made = f(this.seen)
  }

  get now(): B {
    const { now } = this.source
    if (now !== this.seen) {
      this.made = this.f(now)
      this.seen = now
    }
    return this.made
  }
}

/** @category constructors @since 0.1.0 */
export const make = <A>(initial: A): Settable<A> => new Cell(initial)

/** @category predicates @since 0.1.0 */
export const isLive = (value: unknown): value is Live<unknown> =>
  typeof value === "object" && value !== null && TypeId in value

/** An option as a live value: one that is fixed never changes. @category constructors @since 0.1.0 */
export const of = <A>(input: Input<A>): Live<A> => isLive(input) ? input as Live<A> : new Cell(input as A)

/**
 * What follows from a live value. `f` is called now, and once for each later value, when it is first read. It must not
 * throw at a later value: check a value before it is set.
 *
 * @category combinators
 * @since 0.1.0
 */
export const map = <A, B>(source: Live<A>, f: (value: A) => B): Live<B> => new Mapped(source, f)

/** A plugin that can be turned on and off while the router runs. @category models @since 0.1.0 */
export interface Switchable {
  /**
   * Whether it is off now: requests pass a guard unasked, and an observer gets no events. Called for each request or
   * event, so that a plugin that is off costs nothing. Must not throw. Defaults to never.
   */
  readonly isOff?: (() => boolean) | undefined
}
