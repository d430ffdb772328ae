/**
 * Joins the pulls of a model on all backends into one stream of records for a client.
 *
 * @since 0.1.0
 */
import { Effect, Option, Result, Stream } from "effect"
import type { Pull, PullError, Step } from "../ModelPull.ts"

/** How all pulls have ended: `undefined` for success, or an error message. @category models @since 0.1.0 */
export type Ending = string | undefined

const why = (errors: ReadonlyArray<PullError>, count: number): Ending => {
  const [first] = errors
  if (first === undefined) return undefined
  // Ollama's own message, where all backends failed with the same one.
  if (errors.length === count && errors.every(({ description }) => description === first.description)) {
    return first.description
  }
  const failed = errors.map(({ backend, description }) => `${backend}: ${description}`).join("; ")
  return errors.length === count ? failed : `not pulled everywhere: ${failed}`
}

/** Waits for the end of all pulls. @category accessors @since 0.1.0 */
export const ending = (pulls: ReadonlyArray<Pull>): Effect.Effect<Ending> =>
  Effect.map(
    Effect.forEach(pulls, (pull) => Effect.result(pull.ended)),
    (ends) => why(ends.filter(Result.isFailure).map(({ failure }) => failure), pulls.length),
  )

/** @category rendering @since 0.1.0 */
export const last = (end: Ending): string => JSON.stringify(end === undefined ? { status: "success" } : { error: end })

/**
 * Every step of any backend, with one record each: that of the backend that still works on it and is least far, else
 * that of a backend that is done with it.
 */
const merged = (pulls: ReadonlyArray<Pull>): ReadonlyArray<Step> => {
  const steps = new Map<string, Step>()
  const take = (from: ReadonlyArray<Pull>, isBetter: (step: Step, other: Step) => boolean): void => {
    for (const step of from.flatMap((pull) => pull.steps())) {
      const other = steps.get(step.key)
      if (other === undefined || isBetter(step, other)) steps.set(step.key, step)
    }
  }
  take(pulls.filter(({ isOver }) => !isOver), (step, other) => step.completed < other.completed)
  take(pulls.filter(({ isOver }) => isOver), () => false)
  return Array.from(steps.values())
}

/**
 * A record is sent only if it is further than the last one of its step: a backend that begins later must not turn the
 * progress back.
 */
const steps = (pulls: ReadonlyArray<Pull>): Stream.Stream<string> =>
  Stream.suspend(() => {
    const told = new Map<string, number>()
    const isNews = ({ completed, key }: Step): boolean => {
      const before = told.get(key)
      if (before !== undefined && before >= completed) return false
      told.set(key, completed)
      return true
    }
    const page = Effect.fnUntraced(function* () {
      // Taken before the steps are read, so that no change between the two is missed.
      const changes = pulls.filter(({ isOver }) => !isOver).map(({ changed }) => changed)
      const news = merged(pulls).filter(isNews).map(({ text }) => text)
      if (news.length === 0 && changes.length > 0) yield* Effect.raceAllFirst(changes)
      return [news, changes.length > 0 ? Option.some<void>(undefined) : Option.none<void>()] as const
    })
    return Stream.paginate<void, string>(undefined, page)
  })

/**
 * Ollama's records, and `success` or an error at the end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const records = (pulls: ReadonlyArray<Pull>): Stream.Stream<string> =>
  steps(pulls).pipe(
    Stream.concat(Stream.fromEffect(Effect.map(ending(pulls), last))),
    Stream.map((text) => `${text}\n`),
  )
