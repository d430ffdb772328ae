/** Asks for the token of operators. */
import { call, CallError, token } from "../api.ts"
import { h, setText, show } from "../dom.ts"

/** Shows the form until a token is taken. `message` says why it is asked again. */
export const signIn = (message: string, entered: () => void): HTMLElement => {
  const error = h("p", { class: "bad-text", role: "alert", text: message })
  show(error, message !== "")
  const input = h<HTMLInputElement>("input", {
    type: "password",
    id: "token",
    required: true,
    autocomplete: "current-password",
    "aria-describedby": "token-hint",
  })
  const button = h<HTMLButtonElement>("button", { class: "primary", text: "Open the status page" })
  const form = h(
    "form",
    { class: "panel sign-in" },
    h("h1", { text: "llamero" }),
    h("label", { for: "token", text: "Admin token" }),
    input,
    h("p", {
      id: "token-hint",
      class: "muted small",
      text: "The value of LLAMERO_ADMIN_TOKEN. It stays in this tab, and is forgotten when the tab is closed.",
    }),
    error,
    button,
  )
  const fail = (text: string) => {
    setText(error, text)
    show(error, true)
    input.select()
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    button.disabled = true
    token.write(input.value.trim())
    try {
      await call("GET", "/admin/changes?limit=1")
      entered()
    } catch (failure) {
      token.forget()
      const isWrong = failure instanceof CallError && failure.status === 401
      fail(isWrong ? "This token is wrong." : (failure as Error).message)
    } finally {
      button.disabled = false
    }
  })
  requestAnimationFrame(() => input.focus())
  return h("main", { class: "center" }, form)
}
