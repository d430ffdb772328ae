/**
 * The version of each Ollama.
 *
 * @since 0.1.0
 */
import { type Check, finding } from "../finding.ts"
import { answering } from "../observations.ts"
import { isBelow } from "../ollamaVersion.ts"

/** What llamero needs at least. */
export const least = "0.5.4"

/** The version with which llamero is tested. */
export const current = "0.33.0"

/** Ollama's version. A build from source tells none. */
export const versions: Check = (observations) =>
  answering(observations).flatMap(({ backend, version }) => {
    if (isBelow(version, least) === true) {
      return [finding("ollama-old", {
        subject: backend.id,
        symptom: `it runs Ollama ${version}`,
        cause: `llamero needs ${least} or later. Older versions lack parts of the API that it uses.`,
        remedy: "Install a current Ollama: https://ollama.com/download.",
      })]
    }
    if (isBelow(version, current) !== true) return []
    return [finding("ollama-not-current", {
      subject: backend.id,
      symptom: `it runs Ollama ${version}`,
      cause:
        `llamero is tested with ${current}. Since 0.30 Ollama runs models with llama-server: estimates of memory ` +
        "are better for it.",
      remedy: "Install a current Ollama: https://ollama.com/download.",
    })]
  })
