/** The status page. It holds one state, and draws what is different whenever the router sends a change. */
import { follow, type Link, token } from "./api.ts"
import { h, setAttribute, setText } from "./dom.ts"
import * as Format from "./format.ts"
import { History } from "./history.ts"
import type { State } from "./state.ts"
import { applyTheme, themeSwitch } from "./theme.ts"
import { backendDialog } from "./views/backend.ts"
import { backends } from "./views/backends.ts"
import { chatBox } from "./views/chat.ts"
import { decisions } from "./views/decisions.ts"
import { toasts } from "./views/dialogs.ts"
import { emptyFleet } from "./views/empty.ts"
import { attention, breakers, inMemory, queues } from "./views/panels.ts"
import { prewarm } from "./views/prewarm.ts"
import { signIn } from "./views/signIn.ts"
import { streams } from "./views/streams.ts"
import { tiles } from "./views/tiles.ts"

/** How long the models of the chat box are kept, in seconds. */
const modelsEvery = 15

const linkWords: Readonly<Record<Link, string>> = { connecting: "connecting", live: "live", lost: "reconnecting" }

const header = (leave: () => void) => {
  const link = h("span", { class: "link-state", role: "status" })
  const facts = h("p", { class: "muted num facts-line" })
  return {
    element: h(
      "header",
      { class: "top" },
      h("h1", { text: "llamero" }),
      link,
      facts,
      h(
        "nav",
        { "aria-label": "Page" },
        h("a", { href: "/admin/docs", text: "API" }),
        themeSwitch(),
        h("button", { class: "quiet", type: "button", text: "Sign out", on: { click: leave } }),
      ),
    ),
    link: (now: Link): void => {
      setAttribute(link, "class", `link-state ${now}`)
      setText(link, linkWords[now])
      document.documentElement.dataset["link"] = now
    },
    update: ({ at, router }: State): void => {
      setText(facts, `${Format.count(router.requests, "request")} in the router · ${Format.clock(at)}`)
    },
  }
}

/** The whole page for an operator. Gives a function that ends it. */
const dashboard = (root: Element, left: (message: string) => void): void => {
  let state: State | undefined
  let link: Link = "connecting"
  let open: ReturnType<typeof backendDialog> | undefined
  const end = (message: string): void => {
    stream.stop()
    clearInterval(timer)
    token.forget()
    for (const one of document.querySelectorAll("dialog")) one.remove()
    delete document.documentElement.dataset["link"]
    left(message)
  }
  const openBackend = (id: string): void => {
    open = backendDialog(id)
    if (state !== undefined) open.update(state)
  }
  const top = header(() => end(""))
  const numbers = tiles()
  const history = new History()
  const requests = decisions()
  const chat = chatBox()
  const running = streams(openBackend)
  const [problems, help, fleet] = [attention(openBackend), emptyFleet(), backends(openBackend)]
  const [waiting, models, circuits, warming] = [queues(), inMemory(), breakers(), prewarm()]
  const views = [problems, help, fleet, running, waiting, models, circuits, warming]
  root.replaceChildren(
    top.element,
    h(
      "main",
      {},
      problems.element,
      help.element,
      numbers.element,
      fleet.element,
      running.element,
      h(
        "div",
        { class: "sides" },
        h("div", { class: "stack" }, waiting.element, circuits.element),
        models.element,
        warming.element,
      ),
      h("div", { class: "bottom" }, requests.element, chat.element),
    ),
    toasts,
  )
  let seconds = 0
  const tick = (): void => {
    const isLive = link === "live" && state !== undefined
    history.add(isLive ? { at: Date.now(), traffic: state!.traffic } : undefined)
    numbers.tick(isLive ? state : undefined, history)
    running.tick()
    requests.tick(isLive ? state!.traffic.requests : undefined)
    if (isLive && seconds++ % modelsEvery === 0) void chat.load()
  }
  const stream = follow({
    onLink: (now) => {
      link = now
      top.link(now)
    },
    onState: (now, start) => {
      const isFirst = state === undefined
      state = now
      top.update(now)
      for (const view of views) view.update(now)
      if (open?.isOpen() === true) open.update(now)
      performance.measure(isFirst ? "llamero:first" : "llamero:update", { start, end: performance.now() })
      if (isFirst) tick()
      if (performance.getEntriesByType("measure").length > 500) performance.clearMeasures()
    },
    onRefused: () => end("The router does not take this token any more."),
  })
  const timer = setInterval(tick, 1000)
  tick()
}

const run = (message: string): void => {
  const root = document.getElementById("app")!
  if (token.read() === "") root.replaceChildren(signIn(message, () => run("")))
  else dashboard(root, run)
}

applyTheme()
run("")
