/** A real Chromium, where this machine has one: `CHROMIUM` names it, else it is looked for where Debian puts it. */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import process from "node:process"
import { type Browser, chromium, type Page } from "playwright-core"

const known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** The path of the program; `undefined` where there is none. */
export const executable: string | undefined = [process.env["CHROMIUM"] ?? "", ...known].find((path) => existsSync(path))

export const launch: Effect.Effect<Browser, never, Scope.Scope> = Effect.acquireRelease(
  // Its own sandbox does not work for root, who runs the tests in containers. It opens pages of this machine only.
  Effect.promise(() => chromium.launch({ executablePath: executable!, args: ["--no-sandbox"] })),
  (browser) => Effect.promise(() => browser.close()),
)

export interface Seen {
  readonly page: Page
  /** Errors that the page has thrown, and violations of its content security policy. */
  readonly errors: ReadonlyArray<string>
  /** Every URL that it has asked for. */
  readonly urls: ReadonlyArray<string>
}

export interface View {
  readonly width?: number | undefined
  readonly theme?: "light" | "dark" | undefined
}

/** A new page in a session of its own. */
export const open = (browser: Browser, view: View = {}): Effect.Effect<Seen> =>
  Effect.promise(async () => {
    const width = view.width ?? 1280
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: view.theme ?? "light" })
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    const errors: Array<string> = []
    const urls: Array<string> = []
    page.on("pageerror", (error) => errors.push(String(error)))
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) errors.push(message.text())
    })
    page.on("request", (request) => urls.push(request.url()))
    return { page, errors, urls }
  })
