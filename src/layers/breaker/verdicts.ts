/**
 * What the outcome of an attempt counts for: in the circuit of the backend, and in the circuit of one model on it.
 *
 * @since 0.1.0
 */
import { connectCauses, type Outcome } from "../../services/Outcome.ts"

/** Whether a failure is still an answer: an HTTP status, or an error record in a stream that ended properly. */
const isAnswer = (outcome: Outcome): boolean => outcome.cause.startsWith("http-") || outcome.cause === "error-record"

/** Whether a stream came to its proper end, only without its last record. The model or the prompt is the cause. */
const isTruncated = (outcome: Outcome): boolean => outcome.cause === "truncated"

/** What an outcome counts for in one circuit. @category models @since 0.1.0 */
export type Verdict = "success" | "failure" | "ignored"

/**
 * For the backend's circuit: a failure to connect is a failure, and any answer is a success.
 *
 * A timeout or a broken answer may be the fault of one model's runner. So it counts only in a trial, which has to
 * find out whether the backend works again.
 *
 * @category models
 * @since 0.1.0
 */
export const backendVerdict = (outcome: Outcome, trial: boolean): Verdict => {
  if (outcome.kind === "success" || isTruncated(outcome)) return "success"
  if (outcome.kind !== "failure") return "ignored"
  if (connectCauses.has(outcome.cause)) return "failure"
  if (isAnswer(outcome)) return "success"
  return trial ? "failure" : "ignored"
}

/**
 * For the circuit of one model on a backend: every failure after the connection was made. A backend that cannot be
 * reached says nothing about the model. A stream without its last record passes a trial: the model generates.
 *
 * @category models
 * @since 0.1.0
 */
export const modelVerdict = (outcome: Outcome, trial: boolean): Verdict => {
  if (outcome.kind === "success" || (trial && isTruncated(outcome))) return "success"
  return outcome.kind === "failure" && !connectCauses.has(outcome.cause) ? "failure" : "ignored"
}
