/**
 * Reads the text of an error that a backend answers.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { parse } from "./json.ts"

/**
 * The text of an error in Ollama's own shape, in OpenAI's or in Anthropic's. `undefined` where the JSON has none.
 *
 * @category reading
 * @since 0.1.0
 */
export const errorText = (json: string): string | undefined => {
  const value = Option.getOrUndefined(parse(json))
  const error = typeof value === "object" && value !== null && "error" in value ? value.error : undefined
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message)
  return typeof error === "string" ? error : undefined
}
