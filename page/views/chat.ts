/** A box to try a model through the router. */
import { call, CallError, chat } from "../api.ts"
import { h, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import { refused } from "../refused.ts"

const keyName = "llamero.key"

interface Models {
  readonly models: ReadonlyArray<{ readonly model: string; readonly capabilities: ReadonlyArray<string> }>
}

/** The API key, for a router that asks for one. It is in the field only, unless the operator has it kept in the tab. */
const keyField = () => {
  const input = h<HTMLInputElement>("input", {
    type: "password",
    placeholder: "API key",
    "aria-label": "API key",
    autocomplete: "off",
  })
  const keep = h<HTMLInputElement>("input", { type: "checkbox", id: "keep-key" })
  const element = h(
    "div",
    { class: "inline key" },
    input,
    keep,
    h("label", { for: "keep-key", class: "small", text: "Keep it until this tab is closed" }),
  )
  input.value = sessionStorage.getItem(keyName) ?? ""
  keep.checked = input.value !== ""
  show(element, input.value !== "")
  const store = (): void => {
    if (keep.checked) sessionStorage.setItem(keyName, input.value)
    else sessionStorage.removeItem(keyName)
  }
  keep.addEventListener("change", store)
  return {
    element,
    value: (): string => input.value.trim(),
    store,
    ask: (): void => {
      show(element, true)
      input.select()
    },
  }
}

export const chatBox = () => {
  const model = h<HTMLSelectElement>("select", { "aria-label": "Model" })
  const prompt = h<HTMLTextAreaElement>("textarea", {
    rows: "2",
    placeholder: "Ask a model through the router",
    "aria-label": "Message",
  })
  const key = keyField()
  const send = h<HTMLButtonElement>("button", { class: "primary", text: "Send" })
  const stop = h("button", { type: "button", text: "Stop" })
  const answer = h("div", {
    class: "reply",
    "aria-live": "polite",
    tabindex: "0",
    role: "log",
    "aria-label": "Answer",
  })
  const note = h("p", { class: "muted small", role: "status" })
  show(stop, false)
  show(answer, false)
  let aborted = new AbortController()
  stop.addEventListener("click", () => aborted.abort())

  const ask = async (): Promise<void> => {
    const text = prompt.value.trim()
    if (text === "" || model.value === "" || send.disabled) return
    aborted = new AbortController()
    key.store()
    answer.textContent = ""
    setText(note, "Waiting…")
    show(answer, true)
    show(stop, true)
    send.disabled = true
    const started = performance.now()
    const passed = () => Format.seconds((performance.now() - started) / 1000)
    let first = ""
    let tokens = 0
    try {
      const messages = [{ role: "user", content: text }]
      const { id } = await chat({ model: model.value, messages }, key.value(), aborted.signal, (record) => {
        if (first === "") first = passed()
        if (typeof record["error"] === "string") throw new CallError(200, record["error"])
        const message = record["message"] as { readonly content?: string } | undefined
        answer.append(message?.content ?? "")
        tokens = Number(record["eval_count"] ?? 0)
      })
      setText(note, `${passed()}, first byte after ${first}, ${Format.count(tokens, "token")}, request ${id}`)
    } catch (error) {
      const isStopped = aborted.signal.aborted
      setText(note, isStopped ? `Stopped after ${passed()}.` : refused(error, key.value() !== ""))
      show(answer, answer.textContent !== "")
      if (error instanceof CallError && (error.status === 401 || error.status === 403)) key.ask()
    } finally {
      show(stop, false)
      send.disabled = false
    }
  }
  const form = h(
    "form",
    {},
    h("div", { class: "inline" }, model),
    key.element,
    prompt,
    h("div", { class: "actions" }, send, stop),
  )
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void ask()
  })
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void ask()
  })
  return {
    element: h(
      "section",
      { class: "panel chat", "aria-labelledby": "chat" },
      h("header", { class: "split" }, h("h2", { id: "chat", text: "Try a model" })),
      form,
      answer,
      note,
    ),
    /** Reads the models again. */
    load: async (): Promise<void> => {
      try {
        const { models } = await call<Models>("GET", "/admin/models")
        const names = models.filter(({ capabilities }) =>
          capabilities.length === 0 || capabilities.includes("completion")
        )
          .map(({ model: name }) => name).sort()
        for (const one of [model, prompt, send]) one.disabled = names.length === 0 || one === send && !stop.hidden
        if (names.length === 0) setText(note, "No backend has a model that can chat.")
        const before = model.value
        if (names.join("\n") === Array.from(model.options, ({ value }) => value).join("\n")) return
        model.replaceChildren(...names.map((text) => h("option", { value: text, text })))
        if (names.includes(before)) model.value = before
        if (names.length > 0 && answer.hidden) setText(note, "")
      } catch { /* It is asked again later. */ }
    },
  }
}
