/** Why the router has not answered a chat, in words for people. */
import { CallError } from "./api.ts"
import { seconds } from "./format.ts"

/** Sentences, by the status of the answer. */
const sentences: Readonly<Record<number, string>> = {
  0: "The router cannot be reached.",
  401: "The router does not know this API key.",
  403: "That is not allowed.",
  404: "The router does not know this model.",
  413: "The message is too long.",
  429: "The limit of requests is used up.",
  502: "The backend failed.",
  503: "The router cannot take the request now.",
  504: "The answer took too long.",
}

const sentence = (text: string): string =>
  text === "" ? "" : `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`

/** The words for an error of `chat`. `hasKey`: whether an API key was sent. */
export const refused = (error: unknown, hasKey: boolean): string => {
  if (!(error instanceof CallError)) return sentence((error as Error).message)
  const { message, retryAfter, status } = error
  if (status === 401 && !hasKey) return "This router asks for an API key. Enter one above, and send again."
  const known = sentences[status]
  const own = status === 0 || status === 401 ? "" : sentence(message)
  const again = retryAfter === undefined ? "" : `Try again in ${seconds(Math.max(1, retryAfter))}.`
  return [known ?? "It failed.", own === known ? "" : own, again].filter((text) => text !== "").join(" ")
}
