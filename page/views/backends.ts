/** The fleet: cards for a few backends, rows for many. */
import { h, list, setAttribute, setText, show } from "../dom.ts"
import * as Format from "../format.ts"
import { type BackendState, brokenModels, condition, type DeviceState, ordered, type State, urgency } from "../state.ts"
import { memory, strip } from "./memory.ts"

/** With more backends than this, each is one row. */
const cardsMax = 12

/** A backend with its devices. It is the same object for as long as nothing of it changes. */
export interface Item {
  readonly backend: BackendState
  readonly devices: ReadonlyArray<DeviceState>
  /** The models whose breakers are not closed on it. */
  readonly broken: ReadonlyArray<string>
}

/** Whether the page would show the same. The time of the reading is not shown, and changes on all devices at once. */
const isSameDevice = (a: DeviceState, b: DeviceState | undefined): boolean =>
  a === b || b !== undefined && JSON.stringify({ ...a, read_at: null }) === JSON.stringify({ ...b, read_at: null })

/** Makes items of a state. Items without a change are those of the call before. */
export const itemsOf = () => {
  const known = new Map<string, Item>()
  return (state: State): ReadonlyArray<Item> => {
    const byName = new Map(state.devices.map((one) => [one.device, one]))
    const all = brokenModels(state)
    const items = ordered(state.backends, all).map((backend) => {
      const broken = all.get(backend.id) ?? []
      const devices = backend.devices.flatMap((name) => byName.get(name) ?? [])
      const before = known.get(backend.id)
      const isSame = before !== undefined && before.backend === backend && before.devices.length === devices.length &&
        before.broken.join() === broken.join() &&
        devices.every((one, index) => isSameDevice(one, before.devices[index]))
      const item = isSame ? before : { backend, devices, broken }
      known.set(backend.id, item)
      return item
    })
    if (known.size > items.length) {
      const ids = new Set(state.backends.map(({ id }) => id))
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
    }
    return items
  }
}

const levels = ["ok", "off", "warn", "bad"] as const

/** The colour and the word of a backend's condition. */
const badge = () => {
  const element = h("span", { class: "badge" })
  return {
    element,
    update: ({ backend, broken }: Item): void => {
      const isUnknown = backend.health === "unknown" && backend.member === "active"
      setAttribute(element, "class", `badge ${isUnknown ? "off" : levels[urgency(backend, broken)]}`)
      setText(element, condition(backend, broken))
      setAttribute(element, "title", broken.length === 0 ? undefined : `breaker not closed: ${broken.join(", ")}`)
    },
  }
}

const streamsOf = ({ streams, streams_max }: BackendState): string => `${streams}/${streams_max}`

const card = (open: (id: string) => void) => ({ backend }: Item) => {
  const name = h("button", { class: "link name", type: "button", on: { click: () => open(backend.id) } })
  name.textContent = backend.id
  const state = badge()
  const facts = { streams: h("dd"), breaker: h("dd"), first: h("dd"), used: h("dd") }
  const devices = h("div", { class: "devices" })
  const none = h("p", {
    class: "muted small",
    text: "Its memory is not watched: LLAMERO_VRAM=on shows it.",
  })
  const models = h("p", { class: "small" })
  const bars = list<DeviceState>(devices, ({ device }) => device, (device) => memory(device))
  const fact = (term: string, value: Element) => h("div", {}, h("dt", { text: term }), value)
  return {
    element: h(
      "article",
      { class: "card backend" },
      h("header", { class: "split" }, h("h3", {}, name), state.element),
      h(
        "dl",
        { class: "facts" },
        fact("Streams", facts.streams),
        fact("Breaker", facts.breaker),
        fact("First byte", facts.first),
        fact("Last used", facts.used),
      ),
      devices,
      none,
      models,
    ),
    update: (item: Item): void => {
      const { backend: one, devices: known } = item
      state.update(item)
      setText(facts.streams, streamsOf(one))
      setText(
        facts.breaker,
        item.broken.length === 0 ? one.breaker : `open for ${Format.count(item.broken.length, "model")}`,
      )
      setText(facts.first, Format.seconds(one.first_byte_seconds))
      setText(facts.used, one.last_used_at === null ? "never" : Format.clock(one.last_used_at))
      bars(known)
      show(none, known.length === 0)
      setText(
        models,
        one.models.map(({ model, size, size_vram }) => `${model} ${Format.bytes(size_vram ?? size)}`).join(", ") ||
          "no models in memory",
      )
      show(models, known.length === 0)
    },
  }
}

const row = (open: (id: string) => void) => ({ backend }: Item) => {
  const name = h("button", { class: "link name clip", type: "button", on: { click: () => open(backend.id) } })
  name.textContent = backend.id
  const state = badge()
  const bars = h("div", { class: "bars" })
  const streams = h("span", { class: "num" })
  const used = h("span", { class: "num muted" })
  const strips = list<DeviceState>(bars, ({ device }) => device, () => strip())
  return {
    element: h("article", { class: "line" }, name, state.element, bars, used, streams),
    update: (item: Item): void => {
      const { backend: one, devices } = item
      state.update(item)
      strips(devices)
      setText(streams, streamsOf(one))
      const free = devices.reduce((sum, { free }) => sum + (free ?? 0), 0)
      setText(used, devices.length === 0 ? "" : `${Format.bytes(free)} free`)
    },
  }
}

export const backends = (open: (id: string) => void) => {
  const summary = h("p", { class: "muted small" })
  const filter = h<HTMLInputElement>("input", {
    type: "search",
    placeholder: "Filter by name, model or state",
    "aria-label": "Filter backends by name, model or state",
    on: { input: () => draw() },
  })
  const cards = h("div", { class: "cards" })
  const lines = h("div", { class: "lines" })
  const empty = h("p", { class: "empty" })
  const asCards = list<Item>(cards, ({ backend }) => backend.id, card(open))
  const asLines = list<Item>(lines, ({ backend }) => backend.id, row(open))
  const items = itemsOf()
  let last: State | undefined
  const draw = (): void => {
    if (last === undefined) return
    const all = items(last)
    const wanted = filter.value.trim().toLowerCase()
    const found = wanted === ""
      ? all
      : all.filter(({ backend, broken }) =>
        [backend.id, backend.url, condition(backend, broken), ...backend.models.map(({ model }) => model)]
          .some((text) => text.toLowerCase().includes(wanted))
      )
    const isLong = all.length > cardsMax
    asCards(isLong ? [] : found)
    asLines(isLong ? found : [])
    show(filter, all.length > 3)
    show(empty, found.length === 0)
    setText(empty, `No backend fits “${wanted}”.`)
    // Where there are none, the page says above what to do.
    show(element, all.length > 0)
    const healthy =
      all.filter(({ backend, broken }) => urgency(backend, broken) === 0 && backend.health === "healthy").length
    setText(summary, all.length === 0 ? "" : `${healthy} of ${Format.count(all.length, "backend")} well`)
  }
  const element = h(
    "section",
    { class: "panel wide", "aria-labelledby": "backends" },
    h(
      "header",
      { class: "split" },
      h("div", { class: "titles" }, h("h2", { id: "backends", text: "Backends" }), summary),
      filter,
    ),
    cards,
    lines,
    empty,
  )
  return {
    element,
    update: (state: State): void => {
      last = state
      draw()
    },
  }
}
