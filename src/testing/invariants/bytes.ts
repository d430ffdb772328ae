import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { concat } from "../../wire/json.ts"
import type { Answer, Checker, Sent } from "./sights.ts"

const decoder = new TextDecoder()

/** The JSON of the last record, however it is framed. Written apart from the relay's own way, so that each checks the other. */
const lastRecord = (text: string): unknown => {
  const line = text.trimEnd().split("\n").at(-1) ?? ""
  const json = line.startsWith("data: ") ? line.slice(6) : line
  if (json === "[DONE]") return { marker: true }
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const isLast = (end: StreamEnd, record: object): boolean =>
  end === "done-true"
    ? "done" in record && record.done === true
    : end === "done-marker"
    ? "marker" in record
    : end === "message-stop"
    ? "type" in record && record.type === "message_stop"
    : "type" in record && (record.type === "response.completed" || record.type === "response.incomplete")

const isError = (record: object): boolean => "error" in record || ("type" in record && record.type === "error")

/** How a stream that was not cut ends: in its last record, in an error record, or in neither. */
const ending = ({ endpoint }: Answer, text: string): "whole" | "error" | "neither" => {
  const record = lastRecord(text)
  if (typeof record !== "object" || record === null) return "neither"
  return isLast(endpoint.streamEnd, record) ? "whole" : isError(record) ? "error" : "neither"
}

/** Invariant 7: a client gets the bytes that its backend sent, signs of life come between records, and every stream says how it ended. */
export const bytes = (): Checker => {
  const latest = new Map<string, Sent>()
  return {
    invariant: 7,
    name: "bytes",
    see: {
      sent: (attempt) => void latest.set(attempt.id, attempt),
      event: (event) => {
        if (event._tag === "RequestSettled") latest.delete(event.id)
      },
      closed: (answer) => {
        const { chunks, endings, id, left, misplaced, opens, statuses, streams } = answer
        if (misplaced > 0) return `${id} got a sign of life in the middle of a record`
        const got = decoder.decode(concat(chunks))
        const attempt = latest.get(id)
        if (opens > 0 && attempt !== undefined) {
          const sent = decoder.decode(concat(attempt.chunks))
          // An error answer that came after signs of life is told in a record, not passed on.
          const told = attempt.status >= 400 && statuses[0] === 200
          if (
            !told && !(left || endings[0] === "cut" ? sent : got).startsWith(left || endings[0] === "cut" ? got : sent)
          ) {
            return `${id} got ${JSON.stringify(got)} where ${JSON.stringify(sent)} was sent`
          }
          if (!told && !left && endings[0] === "finished" && attempt.ending === "end" && got !== sent && !streams) {
            return `${id} got ${JSON.stringify(got)} after ${JSON.stringify(sent)}`
          }
        }
        if (!left && endings[0] === "finished" && streams && statuses[0] === 200) {
          const how = ending(answer, got)
          if (how === "neither") return `${id} ended without a last record: ${JSON.stringify(got.slice(-200))}`
          if (how === "whole" && attempt !== undefined && !got.startsWith(decoder.decode(concat(attempt.chunks)))) {
            return `${id} is whole, but not what was sent`
          }
        }
      },
    },
  }
}
