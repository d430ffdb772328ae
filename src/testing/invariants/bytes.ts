import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { concat } from "../../wire/json.ts"
import type { Attempt, ClientAnswer } from "./observations.ts"
import type { Checker } from "./watch.ts"

const decoder = new TextDecoder()

/** The data of the last event that has some, its lines joined. */
const lastData = (text: string): string =>
  text.replace(/\r\n?/g, "\n").split(/\n{2,}/)
    .map((event) => event.split("\n").flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []).join("\n"))
    .findLast((data) => data !== "") ?? ""

/**
 * The JSON of the last record. It is read in another way than the relay reads it, so that each checks the other.
 */
const lastRecord = (end: StreamEnd, text: string): unknown => {
  const json = end === "done-true"
    ? text.trimEnd().split(/[\r\n]+/).at(-1) ?? ""
    : lastData(text.replace(/^\uFEFF/, ""))
  if (json === "[DONE]") return { marker: true }
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const isLast = (end: StreamEnd, record: object): boolean =>
  end === "done-true" ? "done" in record && record.done === true : "marker" in record ||
    ("type" in record &&
      (end === "message-stop"
        ? record.type === "message_stop"
        : record.type === "response.completed" || record.type === "response.incomplete"))

const isError = (record: object): boolean =>
  ("error" in record && Boolean(record.error)) ||
  ("type" in record && (record.type === "error" || record.type === "response.failed"))

/** How a stream that was not cut ends: in its last record, in an error record, or in neither. */
const ending = ({ endpoint }: ClientAnswer, text: string): "whole" | "error" | "neither" => {
  // The answer of `generate-v1` is translated into events.
  const record = lastRecord(endpoint.dialect === "generate-v1" ? "none" : endpoint.streamEnd, text)
  if (typeof record !== "object" || record === null) return "neither"
  return isLast(endpoint.streamEnd, record) ? "whole" : isError(record) ? "error" : "neither"
}

/** Whether the client got what the backend sent, as far as it got. */
const compare = (answer: ClientAnswer, attempt: Attempt, got: string): string | undefined => {
  const { endings, id, left, statuses, streams } = answer
  // An error answer that comes after a heartbeat is told in a record, not passed on.
  if (attempt.status >= 400 && statuses[0] === 200) return undefined
  const sent = decoder.decode(concat(attempt.chunks))
  const partly = left || endings[0] === "cut"
  if (partly ? !sent.startsWith(got) : !got.startsWith(sent)) {
    return `${id} got ${JSON.stringify(got)} where ${JSON.stringify(sent)} was sent`
  }
  if (!left && endings[0] === "finished" && attempt.ending === "end" && got !== sent && !streams) {
    return `${id} got ${JSON.stringify(got)} after ${JSON.stringify(sent)}`
  }
  return undefined
}

/**
 * Invariant 7: a client gets the bytes that its backend sent, heartbeats come between records, and every stream says
 * how it ended.
 *
 * **Details**
 *
 * Exercised by streams that ended in their last record, and by streams that ended in an error record or were cut.
 */
export const bytes = (): Checker => {
  const latest = new Map<string, Attempt>()
  const counts = { whole: 0, broken: 0 }
  return {
    invariant: 7,
    name: "bytes",
    exercised: () => ({ "whole streams": counts.whole, "broken streams": counts.broken }),
    on: {
      sent: (attempt) => void latest.set(attempt.id, attempt),
      event: (event) => {
        if (event._tag === "RequestSettled") latest.delete(event.id)
      },
      closed: (answer) => {
        const { chunks, endings, id, left, measured, misplaced, opens, statuses, streams } = answer
        if (misplaced > 0) return `${id} got a heartbeat in the middle of a record`
        const got = decoder.decode(concat(chunks))
        const attempt = latest.get(id)
        const wrong = opens > 0 && attempt !== undefined ? compare(answer, attempt, got) : undefined
        if (wrong !== undefined) return wrong
        if (left || !streams || measured || statuses[0] !== 200) return
        const how = endings[0] === "finished" ? ending(answer, got) : "cut"
        if (how === "whole") counts.whole++
        else counts.broken++
        if (how === "neither") return `${id} ended without a last record: ${JSON.stringify(got.slice(-200))}`
        if (how === "whole" && attempt !== undefined && !got.startsWith(decoder.decode(concat(attempt.chunks)))) {
          return `${id} has a last record, and is not what was sent`
        }
      },
    },
  }
}
