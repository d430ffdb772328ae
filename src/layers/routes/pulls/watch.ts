/**
 * What a client sees of the pulls that it asked for: one pull on each backend, told as if it were one.
 *
 * @since 0.1.0
 */
import { Effect, Option, Result, Stream } from "effect"
import type { Pull, PullError, Step } from "./pull.ts"

/** How all of them have ended: nothing, or what is wrong. @category models @since 0.1.0 */
export type Ending = string | undefined

const why = (errors: ReadonlyArray<PullError>, count: number): Ending => {
  const [first] = errors
  if (first === undefined) return undefined
  // In Ollama's own words where there is but one thing to say.
  if (errors.length === count && errors.every(({ description }) => description === first.description)) {
    return first.description
  }
  const failed = errors.map(({ backend, description }) => `${backend}: ${description}`).join("; ")
  return errors.length === count ? failed : `not pulled everywhere: ${failed}`
}

/** Waits for all of them. @category accessors @since 0.1.0 */
export const ending = (pulls: ReadonlyArray<Pull>): Effect.Effect<Ending> =>
  Effect.map(
    Effect.forEach(pulls, (pull) => Effect.result(pull.ended)),
    (ends) => why(ends.filter(Result.isFailure).map(({ failure }) => failure), pulls.length),
  )

/** @category rendering @since 0.1.0 */
export const last = (end: Ending): string => JSON.stringify(end === undefined ? { status: "success" } : { error: end })

/** Every step that some backend has taken: as the one says that still works on it and is least far, else as one that is done with it. */
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

/** What was told is not told again, unless it is further: a backend that begins later takes nothing back. */
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
      // Before the look at what there is, so that no change goes unnoticed between the two.
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
