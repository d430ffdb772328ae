/** The numbers at the top, each with its line. */
import { h, setAttribute, setText } from "../dom.ts"
import * as Format from "../format.ts"
import { type History, line, type Rates } from "../history.ts"
import type { State } from "../state.ts"

const width = 160
const height = 36
const size = 120

const tile = (title: string, hint: string, format: (value: number | null) => string) => {
  const value = h("p", { class: "value", text: "–" })
  const note = h("p", { class: "note", text: "\u00a0" })
  const stroke = h<SVGPathElement>("path", { class: "stroke" })
  const area = h<SVGPathElement>("path", { class: "area" })
  const chart = h(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    area,
    stroke,
  )
  return {
    element: h("section", { class: "tile", title: hint }, h("h2", { text: title }), value, note, chart),
    draw: (values: ReadonlyArray<number | null>): void => {
      setText(value, format(values.at(-1) ?? null))
      const path = line(values, size, width, height)
      setAttribute(stroke, "d", path)
      // The area is drawn only below one whole line.
      const isWhole = path !== "" && path.lastIndexOf("M") === 0
      const start = /^M([\d.-]+)/.exec(path)?.[1] ?? "0"
      setAttribute(area, "d", isWhole ? `${path}L${width} ${height}L${start} ${height}Z` : "")
    },
    note: (text: string): void => setText(note, text === "" ? "\u00a0" : text),
  }
}

/** The slow ones of the last minute. */
const tail = ({ p95_seconds, p99_seconds }: State["latency"]["routing"], nothing: string): string =>
  p95_seconds === null ? nothing : `p95 ${Format.seconds(p95_seconds)} · p99 ${Format.seconds(p99_seconds)}`

const perSecond = (value: number | null): string => value === null ? "–" : `${Format.number(value)}/s`

export const tiles = () => {
  const requests = tile("Requests", "Requests that ended, in the last 5 seconds", perSecond)
  const tokens = tile("Tokens", "Tokens of answers, of requests that ended in the last 5 seconds", perSecond)
  const routing = tile(
    "Routing latency",
    "What the router itself adds to a request, without waits: the median of the last minute. One request of 16 is measured",
    Format.seconds,
  )
  const first = tile("First byte", "From the dispatch to the first byte of the answer", Format.seconds)
  const streams = tile("Streams", "Requests under way on backends", Format.number)
  const queue = tile(
    "Queued",
    "Requests that wait for a slot or a load, and the 95th percentile of the waits of the last minute",
    Format.number,
  )
  const all = [requests, tokens, routing, first, streams, queue]
  type Values = Array<number | null>
  const counted = { streams: [] as Values, queued: [] as Values, routing: [] as Values }
  const push = (values: Array<number | null>, value: number | null) => {
    values.push(value)
    if (values.length > size) values.shift()
  }
  return {
    element: h("div", { class: "tiles", "aria-label": "Traffic", role: "group" }, ...all.map(({ element }) => element)),
    /** Once a second. */
    tick: (state: State | undefined, history: History): void => {
      const values = (name: keyof Rates) => history.points.map((point) => point[name])
      requests.draw(values("requests"))
      tokens.draw(values("tokens"))
      first.draw(values("firstByte"))
      push(counted.streams, state?.router.leases ?? null)
      push(counted.queued, state?.queues.reduce((sum, { depth }) => sum + depth, 0) ?? null)
      push(counted.routing, state?.latency.routing.p50_seconds ?? null)
      routing.draw(counted.routing)
      streams.draw(counted.streams)
      queue.draw(counted.queued)
      if (state === undefined) return
      const { latency, traffic } = state
      const { failed } = history.now()
      const again = `${Format.count(traffic.retries, "retry", "retries")}, ${Format.number(traffic.cold)} cold`
      requests.note(failed !== null && failed > 0 ? `${Format.number(failed)}/s failed or shed` : again)
      tokens.note(`${Format.number(traffic.answer_tokens)} in all`)
      routing.note(tail(latency.routing, "nothing measured yet"))
      first.note(tail(latency.first_byte, "\u00a0"))
      streams.note(`${Format.count(state.backends.filter(({ streams }) => streams > 0).length, "backend")} busy`)
      const oldest = Math.max(0, ...state.queues.map(({ oldest_seconds }) => oldest_seconds))
      const waits = latency.queue.p95_seconds === null
        ? "no waits"
        : `waits p95 ${Format.seconds(latency.queue.p95_seconds)}`
      queue.note(oldest > 0 ? `oldest ${Format.seconds(oldest)}` : waits)
    },
  }
}
