/**
 * What the outcome of an attempt says about a backend as a whole, and about one model on it.
 *
 * @since 0.1.0
 */
import { connectCauses, type Outcome } from "../../services/Outcome.ts"

/** Whether a failure is an answer all the same: a status, or an error record in a stream that ended properly. */
const isAnswer = (outcome: Outcome): boolean => outcome.cause.startsWith("http-") || outcome.cause === "error-record"

/** What counts for one circuit. @category models @since 0.1.0 */
export type Verdict = "success" | "failure" | "ignored"

/**
 * For the backend's circuit: failing to connect is a failure, any answer a success. A silence or a broken answer may be one model's runner, so it counts
 * only against a trial, whose question was whether the backend is back.
 *
 * @category models
 * @since 0.1.0
 */
export const backendVerdict = (outcome: Outcome, trial: boolean): Verdict => {
  if (outcome.kind === "success") return "success"
  if (outcome.kind !== "failure") return "ignored"
  if (connectCauses.has(outcome.cause)) return "failure"
  if (isAnswer(outcome)) return "success"
  return trial ? "failure" : "ignored"
}

/** For the circuit of one model on a backend: what went wrong with its answer. A backend that cannot be reached says nothing about the model. @category models @since 0.1.0 */
export const modelVerdict = (outcome: Outcome): Verdict => {
  if (outcome.kind === "success") return "success"
  return outcome.kind === "failure" && !connectCauses.has(outcome.cause) ? "failure" : "ignored"
}
