/** One backend: its devices, its models, and what an operator can change. */
import { call } from "../api.ts"
import { h, list, setAttribute, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import {
  type BackendState,
  brokenModels,
  condition,
  type DeviceState,
  outOfService,
  type Resident,
  type State,
  urgency,
} from "../state.ts"
import { confirm, dialog, say } from "./dialogs.ts"
import { memory } from "./memory.ts"

interface Done {
  readonly done: string
}

/** Makes a change, and says what the router answers. */
const change = async (id: string, action: string, body?: unknown): Promise<void> => {
  try {
    const { done } = await call<Done>("POST", `/admin/backends/${encodeURIComponent(id)}/${action}`, body)
    say(done)
  } catch (error) {
    say(`${action}: ${(error as Error).message}`, true)
  }
}

const asks: Readonly<Record<string, readonly [string, string]>> = {
  drain: ["Drain", "It gets no new requests. The ones under way finish. Undrain brings it back."],
  isolate: ["Isolate", "It gets no new requests, and lists of models do not ask it. The requests under way finish."],
  unload: ["Unload", "The next request for the model has to wait for a load."],
}

const ask = async (id: string, action: string, model?: string): Promise<void> => {
  const [verb = action, why = ""] = asks[action] ?? []
  const what = model === undefined ? id : `${model} from ${id}`
  if (await confirm(`${verb} ${what}?`, why, verb)) {
    await change(id, action, model === undefined ? undefined : { model })
  }
}

const button = (text: string, run: () => unknown, name?: string) =>
  h("button", { type: "button", text, "aria-label": name ?? null, on: { click: () => void run() } })

const modelRow = (id: string, pins: () => ReadonlyArray<string>) => ({ model }: Resident) => {
  const facts = h("p", { class: "muted small" })
  const state = h("span", { class: "badge" })
  const pin = button("Pin", () => change(id, pins().includes(model) ? "unpin" : "pin", { model }))
  const unload = button("Unload", () => ask(id, "unload", model), `Unload ${model}`)
  return {
    element: h(
      "li",
      {},
      h("div", { class: "split" }, h("strong", { class: "clip", text: model }), state),
      facts,
      h("div", { class: "actions" }, pin, unload),
    ),
    update: (one: Resident): void => {
      setAttribute(state, "class", `badge ${one.spilled ? "warn" : one.state === "resident" ? "ok" : "off"}`)
      setText(state, one.spilled ? "spilled to the CPU" : one.state)
      const isPinned = pins().includes(model)
      setText(pin, isPinned ? "Unpin" : "Pin")
      setAttribute(pin, "aria-label", `${isPinned ? "Unpin" : "Pin"} ${model}`)
      const context = one.context === null ? "" : `, context ${Format.number(one.context)}`
      const until = one.expires_at === null || one.expires_at === "never"
        ? ""
        : `, until ${Format.clock(one.expires_at)}`
      const kept = isPinned ? ", pinned" : one.pinned ? ", kept by a plan" : ""
      setText(
        facts,
        `${Format.bytes(one.size_vram ?? one.size)}${context}, ${one.streams}/${one.streams_max} streams` +
          until + kept,
      )
    },
  }
}

/** The form that loads a model; it offers the models that the backend has on disk. */
const loader = (id: string) => {
  const names = h("datalist", { id: "on-disk" })
  const model = h<HTMLInputElement>("input", {
    name: "model",
    required: true,
    list: "on-disk",
    placeholder: "Model on its disk",
    "aria-label": "Model to load",
    autocomplete: "off",
  })
  const form = h("form", { class: "inline" }, model, names, h("button", { text: "Load" }))
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void change(id, "load", { model: model.value }).then(() => model.value = "")
  })
  type Models = { readonly models: ReadonlyArray<{ model: string; backends: ReadonlyArray<{ backend: string }> }> }
  void call<Models>("GET", "/admin/models").then(({ models }) => {
    const own = models.filter(({ backends }) => backends.some(({ backend }) => backend === id))
    names.append(...own.map(({ model: value }) => h("option", { value })))
  }, () => {})
  return form
}

/** Opens the dialog of a backend; gives a function that shows a newer state, and one that says if it is open. */
export const backendDialog = (id: string) => {
  const shown = dialog(id, "drawer")
  let backend: BackendState | undefined
  const state = h("span", { class: "badge" })
  const url = h("span", { class: "mono muted clip" })
  const reason = h("p", { class: "small" })
  const facts = h("p", { class: "muted small" })
  const drain = button("Drain", () => ask(id, "drain"))
  const undrain = button("Undrain", () => change(id, "undrain"))
  const isolate = button("Isolate", () => ask(id, "isolate"))
  const devices = h("div", { class: "devices" })
  const models = h("ul", { class: "rows" })
  const none = h("p", { class: "empty", text: "No model is in memory." })
  const pinned = h("p", { class: "muted small" })
  const bars = list<DeviceState>(devices, ({ device }) => device, (device) => memory(device))
  const rows = list<Resident>(models, ({ model }) => model, modelRow(id, () => backend?.pins ?? []))
  shown.body.append(
    h("div", { class: "split" }, url, state),
    reason,
    facts,
    h("div", { class: "actions" }, drain, isolate, undrain),
    h("h3", { text: "Memory" }),
    devices,
    h("h3", { text: "Models" }),
    models,
    none,
    pinned,
    loader(id),
  )
  const update = (whole: State): void => {
    backend = whole.backends.find((one) => one.id === id)
    if (backend === undefined) {
      setText(reason, "This backend is no longer in the fleet.")
      show(reason, true)
      return
    }
    const broken = brokenModels(whole).get(id) ?? []
    const level = (["ok", "off", "warn", "bad"] as const)[urgency(backend, broken)]!
    setAttribute(state, "class", `badge ${level}`)
    setText(state, condition(backend, broken))
    setText(url, backend.url)
    const out = backend.member === "active" ? "" : `It ${outOfService(backend)}.`
    const open = broken.length === 0 ? "" : `Its breaker is not closed for ${broken.join(", ")}.`
    const words = [out, open, backend.reason].filter((text) => text !== "").join(" ")
    setText(reason, words)
    show(reason, words !== "")
    const labels = Object.entries(backend.labels).map(([name, value]) => `${name}=${value}`)
    setText(
      facts,
      [
        backend.version === null ? "" : `Ollama ${backend.version}`,
        `${backend.streams}/${backend.streams_max} streams`,
        `weight ${backend.weight}`,
        backend.room === null ? "" : `${Format.bytes(Math.max(0, backend.room))} for loads`,
        ...labels,
      ].filter((text) => text !== "").join(" · "),
    )
    show(drain, backend.member === "active")
    show(isolate, backend.member !== "isolated")
    show(undrain, backend.member !== "active")
    const names = new Set(backend.devices)
    bars(whole.devices.filter(({ device }) => names.has(device)))
    // A pin changes the backend and not its models: every row is drawn again.
    rows(backend.models.map((one) => ({ ...one })))
    show(none, backend.models.length === 0)
    const away = backend.pins.filter((pin) => !backend!.models.some(({ model }) => model === pin))
    setText(pinned, away.length === 0 ? "" : `Pinned, not in memory: ${away.join(", ")}`)
  }
  shown.open()
  return { update, isOpen: () => shown.element.open }
}
