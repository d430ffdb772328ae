/** Bars of device memory. */
import { bar, palette, type Part } from "../bars.ts"
import { h, list, setAttribute, setText } from "../dom.ts"
import * as Format from "../format.ts"
import type { DeviceState } from "../state.ts"

/** One palette for the whole page. */
export const hueOf = palette()

/** The class of a part; a model has a colour of its own, held memory has stripes. */
const classOf = ({ kind, name }: Part): string =>
  kind === "model" || kind === "held" ? `part ${kind} hue${hueOf(name)}` : `part ${kind}`

const keyOf = ({ kind, name }: Part): string => `${kind} ${name}`

/** The parts of a bar alone. */
export const strip = () => {
  const element = h("div", { class: "bar", role: "img" })
  const parts = list<Part>(element, keyOf, () => {
    const part = h("span")
    return {
      element: part,
      update: (value) => {
        setAttribute(part, "class", classOf(value))
        const grow = String(Math.round(value.share * 10_000))
        if (part.style.flexGrow !== grow) part.style.flexGrow = grow
        setAttribute(
          part,
          "title",
          `${value.name}${value.kind === "held" ? " (held)" : ""}: ${Format.bytes(value.bytes)}`,
        )
      },
    }
  })
  return {
    element,
    update: (device: DeviceState): void => {
      const made = bar(device)
      parts(made.parts)
      setAttribute(element, "aria-label", `Memory of ${device.device}: ${made.words}`)
    },
  }
}

/** A bar with its name, its numbers and what its colours mean. */
export const memory = (device: DeviceState) => {
  const name = h("span", { class: "mono", title: device.device })
  const numbers = h("span", { class: "num" })
  const bars = strip()
  const legend = h("ul", { class: "legend" })
  const failure = h("p", { class: "warn-text small" })
  const entries = list<Part>(legend, keyOf, () => {
    const swatch = h("i", { "aria-hidden": "true" })
    const label = h("span")
    const size = h("span", { class: "num" })
    return {
      element: h("li", {}, swatch, label, size),
      update: (part) => {
        setAttribute(swatch, "class", classOf(part))
        setText(label, part.kind === "held" ? `${part.name} (held)` : part.name)
        setText(size, Format.bytes(part.bytes))
      },
    }
  })
  return {
    element: h("div", { class: "memory" }, h("div", { class: "split" }, name, numbers), bars.element, legend, failure),
    update: (value: DeviceState): void => {
      const made = bar(value)
      setText(name, Format.device(value.device))
      setText(numbers, `${Format.bytes(made.used)} / ${Format.bytes(made.total)}`)
      bars.update(value)
      entries(made.parts)
      setText(failure, value.failure)
      failure.hidden = value.failure === ""
    },
  }
}
