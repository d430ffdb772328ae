/** The last requests with their reasons, and the life of one of them. */
import { call, CallError } from "../api.ts"
import { h, list, setAttribute, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import { type Candidate, type Decision, type Kind, partNames, reason, timeline } from "../timeline.ts"
import { dialog } from "./dialogs.ts"

const levelOf = ({ result, status }: Decision): string =>
  result === "canceled" ? "off" : status >= 500 ? "bad" : status >= 400 ? "warn" : "ok"

/** A line of the time of a request, with its parts as colours. */
const lifeline = (decision: Decision) => {
  const { marks, spans } = timeline(decision)
  const strip = h("div", { class: "life", role: "img" })
  for (const { from, kind, name, seconds, to } of spans) {
    const part = h("span", { class: `span ${kind}`, title: `${name}: ${Format.seconds(seconds)}` })
    part.style.left = `${from * 100}%`
    part.style.width = `${(to - from) * 100}%`
    strip.append(part)
  }
  for (const { after, isFailure, name, position } of marks) {
    const mark = h("span", { class: isFailure ? "mark bad" : "mark", title: `${name}, after ${Format.seconds(after)}` })
    mark.style.left = `${position * 100}%`
    strip.append(mark)
  }
  const words = spans.map(({ name, seconds }) => `${name} ${Format.seconds(seconds)}`).join(", ")
  setAttribute(strip, "aria-label", `${Format.seconds(decision.total_seconds)}: ${words}`)
  return strip
}

/** The life of a request, one line for each part and event, in order. */
const waterfall = (decision: Decision) => {
  const { marks, spans } = timeline(decision)
  const parts = spans.map(({ from, kind, name, seconds, to }) => ({ from, to, name, kind: `span ${kind}`, seconds }))
  const events = marks.map(({ after, isFailure, name, position }) => ({
    from: position,
    to: position,
    name,
    kind: isFailure ? "mark bad" : "mark",
    seconds: after,
  }))
  const rows = [...parts, ...events].sort((a, b) => a.from - b.from || a.to - b.to)
  return h(
    "ol",
    { class: "waterfall", "aria-label": `Its ${Format.seconds(decision.total_seconds)}, part by part` },
    ...rows.map(({ from, kind, name, seconds, to }) => {
      const bar = h("i", { class: kind })
      bar.style.left = `${from * 100}%`
      bar.style.width = to > from ? `${(to - from) * 100}%` : ""
      const isEvent = to === from
      return h(
        "li",
        {},
        h("span", { class: kind === "mark bad" ? "bad-text" : isEvent ? "muted" : "", text: name }),
        h("span", { class: "track", "aria-hidden": "true" }, bar),
        h("span", { class: "num muted", text: `${isEvent ? "after " : ""}${Format.seconds(seconds)}` }),
      )
    }),
  )
}

/** What the colours mean. */
const legend = (kinds: ReadonlyArray<Kind>) =>
  h(
    "ul",
    { class: "legend" },
    ...kinds.map((kind) =>
      h("li", {}, h("i", { class: `span ${kind}`, "aria-hidden": "true" }), h("span", { text: partNames[kind] }))
    ),
  )

/** The facts about a request in one line. */
const factsOf = (decision: Decision): string => {
  const { answer_tokens, attempts, prompt_tokens, routing_seconds, tenant } = decision
  return [
    decision.route,
    tenant === "" ? "no tenant" : `tenant ${tenant}`,
    Format.clock(decision.at),
    Format.count(attempts, "attempt"),
    prompt_tokens === undefined ? "" : `${Format.count(prompt_tokens, "token")} in`,
    answer_tokens === undefined ? "" : `${Format.count(answer_tokens, "token")} out`,
    routing_seconds === undefined ? "" : `the router added ${Format.seconds(routing_seconds)}`,
  ].filter((text) => text !== "").join(" · ")
}

const candidates = (all: ReadonlyArray<Candidate>) =>
  h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Candidates" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["Candidate", "Model", "Streams", "Score", "Why not"].map((text) => h("th", { scope: "col", text })),
        ),
      ),
      h(
        "tbody",
        {},
        ...all.map((one) => {
          const scores = Object.entries(one.scores).map(([name, score]) => `${name} ${Format.number(score)}`).join(", ")
          return h(
            "tr",
            {},
            h("th", { scope: "row", text: one.backend }),
            h("td", { text: one.residency }),
            h("td", { class: "num", text: `${one.streams}/${one.streams_max}` }),
            h("td", {
              class: "num",
              text: one.dropped_by === undefined ? Format.number(one.total) : "–",
              title: scores,
            }),
            h("td", { text: one.dropped_by === undefined ? one.no_lease ?? "" : `dropped by ${one.dropped_by}` }),
          )
        }),
      ),
    ),
  )

/** Shows one request: why it went where it went, and where its time went. */
const openRequest = async (decision: Decision): Promise<void> => {
  const shown = dialog("Request", "drawer")
  const words = h("ol", { class: "why" })
  const summary = h("p", { text: "…" })
  const tables = decision.steps.flatMap(({ candidates: all }) =>
    all === undefined || all.length === 0 ? [] : [candidates(all)]
  )
  shown.body.append(
    h("p", { class: "mono muted", text: decision.id }),
    h("p", { class: "muted small", text: factsOf(decision) }),
    summary,
    waterfall(decision),
    h("h3", { text: "Why" }),
    words,
    ...(tables.length === 0 ? [] : [h("h3", { text: "Candidates" }), ...tables]),
  )
  shown.open()
  try {
    const path = `/admin/decisions/${encodeURIComponent(decision.id)}/why`
    const why = await call<{ summary: string; sentences: ReadonlyArray<string> }>("GET", path)
    setText(summary, why.summary)
    words.append(...why.sentences.map((text) => h("li", { text })))
  } catch (error) {
    setText(summary, (error as Error).message)
  }
}

const row = (first: Decision) => {
  let decision = first
  const open = h("button", { class: "link clip", type: "button", on: { click: () => void openRequest(decision) } })
  const [time, model, where, why, duration, status] = [h("td"), h("td"), h("td"), h("td"), h("td"), h("td")]
  const badge = h("span")
  const life = h("td", { class: "lifecell" })
  setAttribute(time, "class", "num muted")
  setAttribute(duration, "class", "num")
  setAttribute(why, "class", "reason")
  setAttribute(where, "class", "where")
  model.append(open)
  status.append(badge)
  return {
    element: h("tr", {}, time, model, where, why, life, duration, status),
    update: (next: Decision): void => {
      decision = next
      setText(time, Format.clock(next.at))
      setText(open, next.model === "" ? next.route : next.model)
      setText(where, next.backend ?? "–")
      setText(why, reason(next))
      setText(duration, Format.seconds(next.total_seconds))
      setText(badge, next.result === "canceled" ? "left" : String(next.status))
      setAttribute(badge, "class", `badge ${levelOf(next)}`)
      life.replaceChildren(lifeline(next))
    },
  }
}

/** How to have requests recorded. */
const howToRecord = () => [
  h("p", { text: "Requests are not recorded here. To keep the last 200 with their reasons, start the router with" }),
  h("pre", { class: "code", tabindex: "0" }, h("code", { text: "LLAMERO_DECISIONS=200 npm start" })),
  h("p", { class: "small", text: "In a program of your own, give AdminRoutes.layer the option decisions." }),
]

const limit = 40
const columns = ["Time", "Model", "Backend", "Why", "Life", "Total", "Status"]

export const decisions = () => {
  const rows = h("tbody")
  const draw = list<Decision>(rows, ({ at, id }) => `${id} ${at}`, row)
  const table = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of the last requests" },
    h(
      "table",
      { class: "decisions" },
      h("thead", {}, h("tr", {}, ...columns.map((text) => h("th", { scope: "col", text })))),
      rows,
    ),
  )
  const empty = h("div", { class: "empty" }, h("p", { text: "No request has ended yet." }))
  const colours = legend(["wait", "load", "first", "answer"])
  const showTable = (isShown: boolean): void => {
    for (const one of [table, colours]) show(one, isShown)
    show(empty, !isShown)
  }
  showTable(false)
  let asking = false
  let seen = -1
  const known = new Map<string, Decision>()
  const load = async (): Promise<void> => {
    asking = true
    try {
      const answer = await call<{ decisions: ReadonlyArray<Decision> }>("GET", `/admin/decisions?limit=${limit}`)
      const now = answer.decisions.map((one) => known.get(`${one.id} ${one.at}`) ?? one)
      known.clear()
      for (const one of now) known.set(`${one.id} ${one.at}`, one)
      draw(now)
      showTable(now.length > 0)
    } catch (error) {
      seen = -1
      if (!(error instanceof CallError) || error.status !== 404) return
      empty.replaceChildren(...howToRecord())
      showTable(false)
      // They stay off until the router starts again.
      seen = Infinity
    } finally {
      asking = false
    }
  }
  return {
    element: h(
      "section",
      { class: "panel wide", "aria-labelledby": "decisions" },
      h(
        "header",
        { class: "split" },
        h("h2", { id: "decisions", text: "Last requests" }),
        colours,
      ),
      table,
      empty,
    ),
    /** Once a second: asks only when requests have ended since the last time. */
    tick: (requests: number | undefined): void => {
      if (requests === undefined) {
        seen = -1
        return
      }
      if (asking || seen === Infinity || requests === seen || document.hidden) return
      seen = requests
      void load()
    },
  }
}
