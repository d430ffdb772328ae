/** The chat box of the status page in a real Chromium: API keys, refusals in words, the stop button. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { launched, open } from "../support/chromium.ts"
import { mistral, serve, urlOf } from "../support/statusFleet.ts"
import { admin, serious, signIn, test } from "../support/statusPage.ts"

const browser = launched()
const endless = SimulatedFleet.Model.model({ name: "endless:7b", answer: Infinity })

/** A file with keys, for as long as the scope. */
const keysFile = (keys: ReadonlyArray<object>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "llamero-page-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true })),
    ),
    (folder) => {
      const file = join(folder, "keys.json")
      writeFileSync(file, JSON.stringify({ keys }))
      return file
    },
  )

const say = async (page: Page, text: string, model = mistral.name): Promise<void> => {
  await page.getByRole("combobox", { name: "Model" }).selectOption(model)
  await page.getByLabel("Message").fill(text)
  await page.keyboard.press("Enter")
}
const stored = (page: Page) => page.evaluate(() => Object.keys(sessionStorage).sort())

describe("the chat box", () => {
  test("asks for an API key, keeps it in the page only unless it is told otherwise, and says why it is refused", () =>
    Effect.gen(function* () {
      const file = yield* keysFile([
        {
          id: "team",
          sha256: createHash("sha256").update("sk-right").digest("hex"),
          models: [mistral.name],
          requestsPerMinute: 2,
        },
      ])
      const router = yield* serve({ env: { LLAMERO_KEYS_FILE: file } })
      const { errors, page, urls } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await say(page, "Why?")
        const chat = page.locator(".chat")
        await chat.getByText("This router asks for an API key.").waitFor()
        assert.deepStrictEqual(await serious(page), [])
        await page.getByLabel("API key").fill("sk-wrong")
        await say(page, "Why?")
        await chat.getByText("The router does not know this API key.").waitFor()
        await page.getByLabel("API key").fill("sk-right")
        await say(page, "Why?", "llama3.1:8b")
        await chat.getByText("That is not allowed.").waitFor()
        await say(page, "Why?")
        await page.getByRole("log").getByText("word").waitFor()
        await chat.getByText(/first byte after/).waitFor()
        assert.deepStrictEqual(await stored(page), ["llamero.token"])
        for (let i = 0; i < 3 && !/limit/.test(await chat.locator("p[role=status]").textContent() ?? ""); i++) {
          await say(page, "Again")
          await chat.getByText(/first byte after|The limit of requests is used up\./).waitFor()
        }
        await chat.getByText(/The limit of requests is used up\. .*Try again in \d/).waitFor()
        await page.reload()
        await page.getByText("3 of 3 backends well").waitFor()
        assert.isFalse(await page.getByLabel("API key").isVisible(), "it was forgotten")
        await say(page, "Why?")
        await page.getByLabel("API key").fill("sk-right")
        await page.getByLabel("Keep it until this tab is closed").check()
        assert.deepStrictEqual(await stored(page), ["llamero.key", "llamero.token"])
        await page.reload()
        assert.strictEqual(await page.getByLabel("API key").inputValue(), "sk-right")
        await page.getByLabel("Keep it until this tab is closed").uncheck()
        assert.deepStrictEqual(await stored(page), ["llamero.token"])
      })
      assert.deepStrictEqual(errors, [])
      assert.isFalse(urls.some((url) => url.includes("sk-")))
    }))

  test("its stream is among those under way, and the stop button ends it at the backend", () =>
    Effect.gen(function* () {
      const router = yield* serve({ models: [mistral, endless] })
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("No backend is answering a request.").waitFor()
        await say(page, "Tell me everything", endless.name)
        const row = page.locator(".under-way tbody tr")
        await row.getByText(endless.name).waitFor()
        await row.getByText(/^[\d.]+ (K|M)iB$/).waitFor()
        const cells = await row.locator("td").allTextContents()
        assert.match(cells[0]!, /^node-00\d$/)
        assert.strictEqual(cells[1], "default")
        assert.match(cells[3]!, /^[\d.]+ m?s$/)
        const [{ id }] = (await admin(router.url, "streams")).oldest
        assert.strictEqual(cells[5], id)
        assert.deepStrictEqual(await serious(page), [])
        await page.getByRole("button", { name: "Stop" }).click()
        await page.getByText(/^Stopped after/).waitFor()
        assert.include(await page.getByRole("log").textContent() ?? "", "word")
        await page.getByText("No backend is answering a request.").waitFor()
        assert.deepStrictEqual(await admin(router.url, "streams"), { count: 0, oldest: [] })
        await page.locator(".decisions").getByText("left", { exact: true }).waitFor()
      })
      // A health probe can be open for a moment.
      const busy = () => [0, 1, 2].reduce((sum, index) => sum + router.get(urlOf(index)).open, 0)
      for (let i = 0; i < 100 && busy() > 0; i++) yield* Effect.sleep("20 millis")
      assert.strictEqual(busy(), 0)
      assert.deepStrictEqual(errors, [])
    }))

  test("tells a model that no backend has, an error in the middle of a stream, and a router that is gone", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1, models: [mistral] })
      const { page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.locator("option", { hasText: mistral.name }).waitFor({ state: "attached" })
        await page.evaluate(() => {
          const select = document.querySelector<HTMLSelectElement>(".chat select")!
          select.append(new Option("nobody:1b"))
        })
        await say(page, "Why?", "nobody:1b")
        await page.locator(".chat").getByText("The router does not know this model.").waitFor()
        router.get(urlOf(0)).script(SimulatedFleet.Fault.failure(500, "broken"), { path: "/api/chat", times: 9 })
        await say(page, "Why?")
        await page.locator(".chat").getByText("It failed. Broken.").waitFor()
      })
      yield* router.stop
      yield* Effect.promise(async () => {
        await say(page, "Why?")
        await page.locator(".chat").getByText("The router cannot be reached.").waitFor()
      })
    }))
})
