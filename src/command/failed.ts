/**
 * The error of a command that could not do what it was asked.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * What went wrong, in words for people. The program prints them on the standard error output and ends with 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  /** The HTTP status of the router's answer, where there was one. */
  status: Schema.optionalKey(Schema.Number),
}) {}

/** @category constructors @since 0.1.0 */
export const failed = (message: string, status?: number): CommandFailed =>
  new CommandFailed(status === undefined ? { message } : { message, status })
