/** What helps when the router has nobody to send requests to, or only a simulated Ollama. */
import { h, setText, show } from "../dom.ts"
import type { State } from "../state.ts"

const code = (text: string) => h("pre", { class: "code", tabindex: "0" }, h("code", { text }))

const step = (text: string, ...more: ReadonlyArray<HTMLElement>) => h("li", {}, h("p", { text }), ...more)

const noBackends = () =>
  h(
    "ol",
    { class: "steps" },
    step(
      "Start the router with the addresses of your Ollama servers:",
      code("LLAMERO_BACKENDS=gpu-1:11434,gpu-2:11434 npm start"),
    ),
    step(
      "Or list them in a file, which is read again whenever it changes. “A fleet in a file” in docs/settings.md has one.",
      code("LLAMERO_FLEET_FILE=fleet.json npm start"),
    ),
    step("This page shows each backend as soon as it is in the fleet."),
  )

const noneHealthy = (ask: HTMLElement) =>
  h(
    "ol",
    { class: "steps" },
    step("Ask a backend from the machine of the router:", ask),
    step(
      "If nothing answers: Ollama listens on 127.0.0.1 only, unless it is told otherwise on its own machine.",
      code("OLLAMA_HOST=0.0.0.0 ollama serve"),
    ),
    step("The router asks every backend again and again. It takes one back as soon as it answers."),
  )

/** Which of the texts fits. */
const caseOf = ({ backends }: State): "none" | "unhealthy" | "held" | undefined => {
  if (backends.length === 0) return "none"
  if (backends.some(({ health, member }) => member === "active" && health !== "unhealthy")) return undefined
  return backends.some(({ member }) => member === "active") ? "unhealthy" : "held"
}

const titles = {
  none: "This router has no backends yet",
  unhealthy: "No backend answers",
  held: "An operator has taken every backend out",
}

const texts = {
  none: "Every request is refused with 503 until there is one.",
  unhealthy: "Every request is refused with 503 until one does.",
  held: "Every request is refused with 503. Choose a backend below, and undrain it.",
}

export const emptyFleet = () => {
  const title = h("h2", { id: "help" })
  const text = h("p", { class: "muted" })
  const ask = h("code")
  const steps = {
    none: noBackends(),
    unhealthy: noneHealthy(h("pre", { class: "code", tabindex: "0" }, ask)),
    held: h("div"),
  }
  const help = h("section", { class: "panel help", "aria-labelledby": "help" }, title, text, ...Object.values(steps))
  const simulated = h(
    "p",
    { class: "banner" },
    h("strong", { text: "Simulated. " }),
    "No Ollama was found, so answers are made up and mean nothing. Name your servers in ",
    h("code", { text: "LLAMERO_BACKENDS" }),
    ", and start the router again.",
  )
  const element = h("div", { class: "notices" }, simulated, help)
  return {
    element,
    update: (state: State): void => {
      const which = caseOf(state)
      show(simulated, state.router.simulated)
      show(help, which !== undefined)
      show(element, state.router.simulated || which !== undefined)
      if (which === undefined) return
      setText(title, titles[which])
      setText(text, texts[which])
      const [first] = state.backends
      if (first !== undefined) setText(ask, `curl ${first.url}/api/version`)
      for (const [name, list] of Object.entries(steps)) show(list, name === which)
    },
  }
}
