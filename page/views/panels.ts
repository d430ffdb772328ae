/** What needs attention, queues, models in memory and breakers: lists that a state gives. */
import { h, list, type Row, setAttribute, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import { type Problem, problems, type State } from "../state.ts"
import { hueOf } from "./memory.ts"

/** A list in a panel, with words for when it is empty. */
const panel = <A>(
  id: string,
  title: string,
  nothing: string,
  keyOf: (value: A) => string,
  create: (value: A) => Row<A>,
) => {
  const count = h("span", { class: "count" })
  const rows = h("ul", { class: "rows" })
  const empty = h("p", { class: "empty", text: nothing })
  const draw = list<A>(rows, keyOf, create)
  return {
    element: h(
      "section",
      { class: "panel", "aria-labelledby": id },
      h("header", { class: "split" }, h("h2", { id, text: title }), count),
      rows,
      empty,
    ),
    update: (values: ReadonlyArray<A>): void => {
      draw(values)
      show(empty, values.length === 0)
      show(rows, values.length > 0)
      setText(count, values.length === 0 ? "" : String(values.length))
    },
  }
}

export const attention = (open: (id: string) => void) => {
  const rows = h("ul", { class: "problems" })
  const more = h("p", { class: "muted small" })
  const shownMax = 6
  const draw = list<Problem>(rows, ({ key }) => key, (problem) => {
    const words = problem.backend === undefined
      ? h("span")
      : h("button", { class: "link", type: "button", on: { click: () => open(problem.backend!) } })
    const element = h("li", {}, words)
    return {
      element,
      update: ({ level, text }) => {
        setAttribute(element, "class", level)
        setText(words, text)
      },
    }
  })
  const element = h("section", { class: "attention", "aria-label": "Needs attention" }, rows, more)
  return {
    element,
    update: (state: State): void => {
      const found = problems(state)
      draw(found.slice(0, shownMax))
      setText(more, found.length > shownMax ? `and ${found.length - shownMax} more` : "")
      show(more, found.length > shownMax)
      show(element, found.length > 0)
    },
  }
}

export const queues = () => {
  type Queue = State["queues"][number]
  const made = panel<Queue>("queues", "Queues", "Nothing waits.", ({ model }) => model, () => {
    const model = h("strong", { class: "clip" })
    const depth = h("span", { class: "num" })
    const waits = h("p", { class: "muted small" })
    const tenants = h("p", { class: "muted small" })
    return {
      element: h("li", {}, h("div", { class: "split" }, model, depth), waits, tenants),
      update: (queue) => {
        setText(model, queue.model)
        setText(depth, Format.count(queue.depth, "request"))
        setText(
          waits,
          `oldest ${Format.seconds(queue.oldest_seconds)}, expected wait ` +
            `${Format.seconds(queue.estimated_wait_seconds)}, ${Format.bytes(queue.bytes)}`,
        )
        const named = queue.tenants.slice(0, 5).map(({ depth: n, tenant }) => `${tenant || "no tenant"} ${n}`)
        const rest = queue.tenants.length - named.length
        setText(tenants, [...named, ...(rest > 0 ? [`${rest} more`] : [])].join(" · "))
      },
    }
  })
  return { element: made.element, update: (state: State) => made.update(state.queues) }
}

interface Under {
  readonly model: string
  readonly streams: number
  readonly max: number
  readonly backends: number
}

/** Models in memory with their streams, the busiest first. */
const underWay = ({ backends }: State): ReadonlyArray<Under> => {
  const sums = new Map<string, { model: string; streams: number; max: number; backends: number }>()
  for (const { models } of backends) {
    for (const { model, state, streams, streams_max } of models) {
      if (state !== "resident" && streams === 0) continue
      const sum = sums.get(model) ?? { model, streams: 0, max: 0, backends: 0 }
      sum.streams += streams
      sum.max += streams_max
      sum.backends++
      sums.set(model, sum)
    }
  }
  return Array.from(sums.values()).sort((a, b) => b.streams - a.streams || (a.model < b.model ? -1 : 1)).slice(0, 12)
}

export const inMemory = () => {
  const made = panel<Under>(
    "in-memory",
    "Models in memory",
    "No model is in memory.",
    ({ model }) => model,
    (first) => {
      const model = h("strong", { class: "clip" })
      const numbers = h("span", { class: "num" })
      const meter = h("span", { class: `fill hue${hueOf(first.model)}` })
      const note = h("p", { class: "muted small num" })
      return {
        element: h("li", {}, h("div", { class: "split" }, model, numbers), h("div", { class: "meter" }, meter), note),
        update: (one) => {
          setText(model, one.model)
          setText(numbers, `${one.streams}/${one.max}`)
          setText(note, `${Format.count(one.streams, "stream")} on ${Format.count(one.backends, "backend")}`)
          meter.style.width = `${one.max === 0 ? 0 : Math.min(100, Math.round(100 * one.streams / one.max))}%`
        },
      }
    },
  )
  return { element: made.element, update: (state: State) => made.update(underWay(state)) }
}

export const breakers = () => {
  type Breaker = State["breakers"][number]
  const keyOf = ({ backend, model }: Breaker): string => `${backend}\n${model}`
  const made = panel<Breaker>("breakers", "Breakers", "All breakers are closed.", keyOf, () => {
    const name = h("strong", { class: "clip" })
    const state = h("span")
    return {
      element: h("li", { class: "split" }, name, state),
      update: (one) => {
        setText(name, one.model === null ? one.backend : `${one.model} on ${one.backend}`)
        setAttribute(state, "class", `badge ${one.state === "half-open" ? "warn" : "bad"}`)
        setText(state, one.retry_seconds > 0 ? `${one.state}, ${Format.seconds(one.retry_seconds)}` : one.state)
      },
    }
  })
  return {
    element: made.element,
    update: (state: State) => made.update(state.breakers.filter(({ state: is }) => is !== "closed")),
  }
}
