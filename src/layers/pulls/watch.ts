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

/** One backend after the other, though all pull at once; what was told of one is not told again of the next, unless it is further. */
const steps = (pulls: ReadonlyArray<Pull>): Stream.Stream<string> =>
  Stream.suspend(() => {
    const told = new Map<string, number>()
    const isNews = ({ completed, key }: Step): boolean => {
      const before = told.get(key)
      if (before !== undefined && before >= completed) return false
      told.set(key, completed)
      return true
    }
    const page = Effect.fnUntraced(function* ([index, at]: readonly [number, number]) {
      const pull = pulls[index]
      if (pull === undefined) return [[], Option.none<readonly [number, number]>()] as const
      const { changed, isOver } = pull
      const news = pull.since(at)
      if (news.length === 0 && !isOver) yield* changed
      const texts = news.filter(isNews).map(({ text }) => text)
      return [texts, Option.some(isOver ? [index + 1, 0] as const : [index, news.at(-1)?.at ?? at] as const)] as const
    })
    return Stream.paginate<readonly [number, number], string>([0, 0], page)
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
