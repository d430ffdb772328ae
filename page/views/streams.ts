/** The calls to backends that have not ended, one by one. */
import { h, list, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import type { State } from "../state.ts"
import { hueOf } from "./memory.ts"

type Stream = State["streams"]["oldest"][number]

const columns = ["Model", "Backend", "Tenant", "Runs for", "First byte", "Sent", "Request"]

/** `now` reads the router's clock, in milliseconds. */
const row = (now: () => number, open: (id: string) => void) => (first: Stream) => {
  const cell = (name: string) => h("td", { class: name })
  const [tenant, runs, byte, sent] = [cell("clip"), cell("num"), cell("num"), cell("num")]
  const backend = h("button", { class: "link clip", type: "button", on: { click: () => open(first.backend) } })
  setText(backend, first.backend)
  setText(tenant, first.tenant)
  let since = 0
  const tick = () => setText(runs, Format.running((now() - since) / 1000))
  return {
    element: h(
      "tr",
      {},
      h("th", { scope: "row" }, h("i", { class: `dot hue${hueOf(first.model)}`, "aria-hidden": "true" }), first.model),
      h("td", { class: "clip" }, backend),
      tenant,
      runs,
      byte,
      sent,
      h("td", { class: "clip mono muted", text: first.id, title: first.id }),
    ),
    tick,
    update: (one: Stream): void => {
      since = Date.parse(one.since)
      tick()
      setText(byte, one.first_byte_seconds === null ? "waiting" : Format.seconds(one.first_byte_seconds))
      setText(sent, Format.bytes(one.bytes))
    },
  }
}

export const streams = (open: (id: string) => void) => {
  /** The router's clock, less that of the browser. */
  let ahead = 0
  const ticks = new Map<Element, () => void>()
  const make = row(() => Date.now() + ahead, open)
  const rows = h("tbody")
  // Another attempt of a request is another stream.
  const draw = list<Stream>(rows, ({ backend, id, since }) => `${id} ${backend} ${since}`, (first) => {
    const made = make(first)
    ticks.set(made.element, made.tick)
    return made
  })
  const table = h(
    "div",
    { class: "scroll short", tabindex: "0", role: "region", "aria-label": "Table of the streams under way" },
    h(
      "table",
      { class: "under-way" },
      h("thead", {}, h("tr", {}, ...columns.map((text) => h("th", { scope: "col", text })))),
      rows,
    ),
  )
  const count = h("span", { class: "count" })
  const empty = h("p", { class: "empty", text: "No backend is answering a request." })
  return {
    element: h(
      "section",
      { class: "panel", "aria-labelledby": "under-way" },
      h("header", { class: "split" }, h("h2", { id: "under-way", text: "Streams under way" }), count),
      table,
      empty,
    ),
    /** Once a second: the times go on between two changes of the state. */
    tick: (): void => {
      for (const [element, tick] of ticks) {
        if (element.isConnected) tick()
        else ticks.delete(element)
      }
    },
    update: ({ at, streams: { count: all, oldest } }: State): void => {
      ahead = Date.parse(at) - Date.now()
      draw(oldest)
      const rest = all - oldest.length
      setText(
        count,
        all === 0 ? "" : rest > 0 ? `the ${oldest.length} oldest, and ${Format.number(rest)} more` : Format.number(all),
      )
      show(table, oldest.length > 0)
      show(empty, oldest.length === 0)
      setText(empty, all === 0 ? "No backend is answering a request." : `${Format.count(all, "stream")} under way.`)
    },
  }
}
