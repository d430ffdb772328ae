/** Dialogs: the browser keeps the focus inside, and Escape closes. */
import { h } from "../dom.ts"

/** A dialog with a title and a button that closes it. `closed` runs when it is closed in any way. */
export const dialog = (title: string, name: string, closed: () => void = () => {}) => {
  const id = `title-${name}`
  const heading = h("h2", { id, text: title })
  const close = h("button", { class: "icon", type: "button", "aria-label": "Close", text: "✕" })
  const body = h("div", { class: "body" })
  const element = h<HTMLDialogElement>(
    "dialog",
    { class: name, "aria-labelledby": id },
    h("header", { class: "split" }, heading, close),
    body,
  )
  close.addEventListener("click", () => element.close())
  // A click beside it closes it.
  element.addEventListener("click", (event) => event.target === element && element.close())
  element.addEventListener("close", () => {
    element.remove()
    closed()
  })
  return {
    element,
    heading,
    body,
    open: (): void => {
      document.body.append(element)
      element.showModal()
    },
  }
}

/** Asks before something is done. */
export const confirm = (title: string, text: string, action: string): Promise<boolean> =>
  new Promise((done) => {
    let answer = false
    const asked = dialog(title, "confirm", () => done(answer))
    const settle = (value: boolean) => () => {
      answer = value
      asked.element.close()
    }
    asked.body.append(
      h("p", { text }),
      h(
        "footer",
        {},
        h("button", { type: "button", autofocus: true, text: "Cancel", on: { click: settle(false) } }),
        h("button", { type: "button", class: "danger", text: action, on: { click: settle(true) } }),
      ),
    )
    asked.open()
  })

const live = h("div", { class: "toasts", role: "status", "aria-live": "polite" })

/** The place where results of changes are told. */
export const toasts = live

/** Says what has become of a change. It is shown above dialogs. */
export const say = (text: string, isFailure = false): void => {
  const toast = h("p", { class: isFailure ? "toast bad" : "toast", text })
  const top = Array.from(document.querySelectorAll("dialog[open]")).at(-1)
  ;(top ?? document.body).append(live)
  // Screen readers tell what is added to a region that is there already.
  requestAnimationFrame(() => live.append(toast))
  setTimeout(() => {
    toast.remove()
    if (live.childElementCount === 0) document.body.append(live)
  }, isFailure ? 10_000 : 5000)
}
