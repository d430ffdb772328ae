/** A real Chromium, where this machine has one: `CHROMIUM` names it, else it is looked for where Debian puts it. */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import process from "node:process"
import { type Browser, chromium, type Page } from "playwright-core"
import { afterAll } from "vitest"

const known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** The path of the program; `undefined` where there is none. */
export const executable: string | undefined = [process.env["CHROMIUM"] ?? "", ...known].find((path) => existsSync(path))

/** One browser for all tests of a file. It starts with the first page, and ends with the file. */
export const launched = (): () => Promise<Browser> => {
  let browser: Promise<Browser> | undefined
  afterAll(async () => (await browser)?.close())
  // Its own sandbox does not work for root, who runs the tests in containers. It opens pages of this machine only.
  return () => browser ??= chromium.launch({ executablePath: executable!, args: ["--no-sandbox"] })
}

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

/** A new page in a session of its own, which ends with the scope. */
export const open = (
  browser: () => Promise<Browser>,
  view: View = {},
): Effect.Effect<Seen, never, Scope.Scope> =>
  Effect.gen(function* () {
    const width = view.width ?? 1280
    const context = yield* Effect.acquireRelease(
      Effect.promise(async () =>
        (await browser()).newContext({ viewport: { width, height: 900 }, colorScheme: view.theme ?? "light" })
      ),
      (opened) => Effect.promise(() => opened.close()),
    )
    context.setDefaultTimeout(30_000)
    const page = yield* Effect.promise(() => context.newPage())
    const errors: Array<string> = []
    const urls: Array<string> = []
    page.on("pageerror", (error) => errors.push(String(error)))
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) errors.push(message.text())
    })
    page.on("request", (request) => urls.push(request.url()))
    return { page, errors, urls }
  })
