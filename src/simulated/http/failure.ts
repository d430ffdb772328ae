/**
 * The only error of an endpoint.
 *
 * @since 0.1.0
 */
import { Data } from "effect"

/**
 * An error answer: a status and Ollama's text.
 *
 * @category errors
 * @since 0.1.0
 */
export class Failure extends Data.TaggedError("Failure")<{ readonly status: number; readonly text: string }> {}
