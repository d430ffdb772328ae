/**
 * Reads which model a backend says it does not have.
 *
 * @since 0.1.0
 */
import { errorText } from "./errorText.ts"
import { textOf } from "./json.ts"

/** As Ollama writes it, on each of its paths, and before 0.4 with the advice on all of them. */
const missing = /^model (?:'([^']+)'|"([^"]+)") not found(?:, try pulling it first)?$/

/**
 * The model that a 404 says is missing, as the error spells it. `undefined` for every other answer: also for a 404
 * about something else, such as a path, a blob, an image or a tool.
 *
 * @category reading
 * @since 0.1.0
 */
export const missingModel = (status: number, body: Uint8Array): string | undefined => {
  if (status !== 404) return undefined
  const found = missing.exec(errorText(textOf([body])) ?? "")
  return found?.[1] ?? found?.[2]
}
