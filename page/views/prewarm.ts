/** The prewarm schedule: what each plan wants and when, and the state of each model. */
import { h, list, setAttribute, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import { type Prewarm, schedule, type Scheduled } from "../schedule.ts"
import type { State } from "../state.ts"

const colours = { resident: "ok", loading: "warn", pending: "off", failed: "bad" }
const words = { resident: "in memory", loading: "loading", pending: "waiting", failed: "failed" }

const modelRow = () => {
  const model = h("span", { class: "clip" })
  const state = h("span")
  const note = h("p", { class: "muted small" })
  return {
    element: h("li", {}, h("div", { class: "split" }, model, state), note),
    update: (one: Prewarm): void => {
      setText(model, one.model)
      setAttribute(state, "class", `badge ${colours[one.state]}`)
      setText(state, words[one.state])
      const where = one.backend === null ? "" : `on ${one.backend}`
      const since = one.since === null ? "" : `since ${Format.moment(one.since)}`
      setText(
        note,
        [where, since].filter((text) => text !== "").join(" ") + (one.reason === "" ? "" : `: ${one.reason}`),
      )
    },
  }
}

const planRow = (first: Scheduled) => {
  const when = h("p", { class: "small" })
  const failure = h("p", { class: "bad-text small" })
  const models = h("ul", { class: "inner" })
  const draw = list<Prewarm>(models, ({ backend, model }) => `${model}\n${backend}`, modelRow)
  return {
    element: h("li", {}, h("strong", { text: first.plan }), when, failure, models),
    update: (one: Scheduled): void => {
      setText(when, one.when)
      setText(failure, one.failure)
      show(failure, one.failure !== "")
      draw(one.models)
    },
  }
}

export const prewarm = () => {
  const rows = h("ul", { class: "rows" })
  const empty = h("p", {
    class: "empty",
    text: "No plan wants a model in memory. LLAMERO_PREWARM loads models at the start, LLAMERO_PINNED keeps them.",
  })
  const draw = list<Scheduled>(rows, ({ key }) => key, planRow)
  return {
    element: h(
      "section",
      { class: "panel", "aria-labelledby": "prewarm" },
      h("header", { class: "split" }, h("h2", { id: "prewarm", text: "Prewarm schedule" })),
      rows,
      empty,
    ),
    update: (state: State): void => {
      const all = schedule(state)
      draw(all)
      show(rows, all.length > 0)
      show(empty, all.length === 0)
    },
  }
}
