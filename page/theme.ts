/** Light or dark: as the system has it, until somebody chooses. */
import { h } from "./dom.ts"

const name = "llamero.theme"
const themes = ["auto", "light", "dark"] as const
type Theme = (typeof themes)[number]

const read = (): Theme => themes.find((one) => one === localStorage.getItem(name)) ?? "auto"

/** Sets the theme that was chosen before. */
export const applyTheme = (theme = read()): void => {
  if (theme === "auto") delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = theme
}

/** A field to choose it. */
export const themeSwitch = (): HTMLElement => {
  const select = h<HTMLSelectElement>(
    "select",
    { class: "quiet", "aria-label": "Theme" },
    ...themes.map((value) => h("option", { value, text: { auto: "Auto", light: "Light", dark: "Dark" }[value] })),
  )
  select.value = read()
  select.addEventListener("change", () => {
    localStorage.setItem(name, select.value)
    applyTheme(select.value as Theme)
  })
  return select
}
