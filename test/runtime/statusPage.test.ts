/** The status page in a real Chromium, in front of a simulated fleet. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { launched, open } from "../support/chromium.ts"
import { prints, runtimes, start } from "../support/processes.ts"
import { llama31, mistral, serve, token, urlOf } from "../support/statusFleet.ts"
import { ask, serious, signIn, test, updates } from "../support/statusPage.ts"

const chat = (url: string, model: string) => ask(url, model).then((response) => response.text())

const hidden = "<script>document.title='hacked'</script>"
const browser = launched()

describe("the status page in Chromium", () => {
  test("asks for the token, tells a wrong one, shows true data within 2 seconds, and keeps the token out of URLs", () =>
    Effect.gen(function* () {
      const router = yield* serve()
      const { errors, page, urls } = yield* open(browser)
      yield* Effect.promise(async () => {
        await page.goto(router.url)
        assert.match(page.url(), /\/ui$/)
        await signIn(page, router.url, "wrong")
        await page.getByText("This token is wrong.").waitFor()
        await page.getByLabel("Admin token").fill(token)
        const entered = Date.now()
        await page.keyboard.press("Enter")
        for (const name of ["node-001", "node-002", "node-003"]) await page.getByRole("button", { name }).waitFor()
        await page.getByText("3 of 3 backends well").waitFor()
        await page.getByText("/ 80.0 GiB").waitFor()
        assert.isBelow(Date.now() - entered, 2000)
        assert.deepStrictEqual(await page.evaluate(() => Object.keys(localStorage)), [])
        await page.reload()
        await page.getByRole("button", { name: "node-001" }).waitFor()
        await page.getByRole("button", { name: "Sign out" }).click()
        await page.getByLabel("Admin token").waitFor()
      })
      assert.deepStrictEqual(errors, [])
      assert.isFalse(urls.some((url) => url.includes(token) || !/^(http:\/\/127\.0\.0\.1:|data:,)/.test(url)))
    }))

  test("is live: a chat in its box shows the answer, the model in memory, the request and why", () =>
    Effect.gen(function* () {
      const router = yield* serve()
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("No request has ended yet.").waitFor()
        await page.getByRole("combobox", { name: "Model" }).selectOption(mistral.name)
        await page.getByLabel("Message").fill("Why is the sky blue?")
        await page.keyboard.press("Enter")
        await page.getByRole("log").getByText("word").waitFor()
        await page.locator(".bar .part.model").first().waitFor({ state: "attached" })
        await page.locator(".decisions").getByRole("button", { name: mistral.name }).click()
        const dialog = page.getByRole("dialog")
        await dialog.getByText(`answered the request for ${mistral.name} with 200`).waitFor()
        await dialog.getByRole("columnheader", { name: "Why not" }).first().waitFor()
        assert.deepStrictEqual(await serious(page), [])
      })
      assert.deepStrictEqual(errors, [])
    }))

  test("survives a restart of the router", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 2 })
      const { page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("2 of 2 backends well").waitFor()
      })
      yield* router.stop
      yield* Effect.promise(() => page.getByText("reconnecting").waitFor())
      yield* serve({ backends: 4, port: router.port })
      yield* Effect.promise(async () => {
        await page.getByText("4 of 4 backends well").waitFor()
        await page.getByText("live", { exact: true }).waitFor()
      })
    }))

  test("tells a breaker that opens, and the request that failed", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 1 })
      const { page } = yield* open(browser)
      router.get(urlOf(0)).script(SimulatedFleet.Fault.failure(500, "broken"), { path: "/api/chat", times: 1000 })
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("1 of 1 backend well").waitFor()
        await page.getByText("All breakers are closed.").waitFor()
        for (let i = 0; i < 8; i++) await chat(router.url, mistral.name)
        await page.getByText(/^The breaker of (mistral:7b on )?node-001 is (half-)?open$/).waitFor()
        await page.locator(".decisions .badge.bad").first().waitFor()
        await page.locator(".decisions tbody button").last().click()
        await page.getByRole("dialog").getByText("the request for mistral:7b with 500").waitFor()
        assert.deepStrictEqual(await serious(page), [])
      })
    }))

  test("the keyboard drains a backend, with a confirmation, and brings it back", () =>
    Effect.gen(function* () {
      const router = yield* serve()
      const { errors, page } = yield* open(browser)
      const stateOf = async (id: string) => {
        const answer = await fetch(`${router.url}/admin/backends/${id}`, {
          headers: { authorization: `Bearer ${token}` },
        })
        return (await answer.json()).member
      }
      /** Moves the focus with the Tab key until it is on a button of this name. */
      const tabTo = async (name: string) => {
        for (let i = 0; i < 40; i++) {
          const text = await page.evaluate(() => document.activeElement?.textContent ?? "")
          if (text === name) return
          await page.keyboard.press("Tab")
        }
        assert.fail(`the focus never comes to ${name}`)
      }
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("3 of 3 backends well").waitFor()
        await tabTo("node-002")
        await page.keyboard.press("Enter")
        await tabTo("Drain")
        await page.keyboard.press("Enter")
        await page.getByText("Drain node-002?").waitFor()
        // Escape changes nothing, and leads back.
        await page.keyboard.press("Escape")
        assert.strictEqual(await stateOf("node-002"), "active")
        await tabTo("Drain")
        await page.keyboard.press("Enter")
        // The focus is on Cancel at first.
        assert.strictEqual(await page.evaluate(() => document.activeElement?.textContent), "Cancel")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.getByRole("status").getByText("node-002 is draining").waitFor()
        assert.strictEqual(await stateOf("node-002"), "draining")
        assert.deepStrictEqual(await serious(page), [])
        await tabTo("Undrain")
        await page.keyboard.press("Enter")
        await page.getByRole("status").getByText("takes new requests again").waitFor()
        await page.keyboard.press("Escape")
        await page.getByText("3 of 3 backends well").waitFor()
      })
      assert.strictEqual(yield* Effect.promise(() => stateOf("node-002")), "active")
      assert.deepStrictEqual(errors, [])
    }))

  test("loads, pins and unloads a model, and tells what the router refuses", () =>
    Effect.gen(function* () {
      const router = yield* serve()
      const { page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByRole("button", { name: "node-001" }).click()
        const dialog = page.getByRole("dialog", { name: "node-001" })
        const load = async (model: string) => {
          await dialog.getByLabel("Model to load").fill(model)
          await dialog.getByRole("button", { name: "Load", exact: true }).click()
        }
        await load("nothing")
        await page.getByText("no backend has the model").waitFor()
        await load(mistral.name)
        await dialog.getByText("resident").waitFor()
        await dialog.getByRole("button", { name: `Pin ${mistral.name}` }).click()
        await dialog.getByRole("button", { name: `Unpin ${mistral.name}` }).click()
        await dialog.getByRole("button", { name: `Pin ${mistral.name}` }).waitFor()
        await dialog.getByRole("button", { name: `Unload ${mistral.name}` }).click()
        await page.getByRole("dialog", { name: "Unload" }).getByRole("button", { name: "Unload" }).click()
        await dialog.getByText("No model is in memory.").waitFor()
      })
    }))

  test("200 backends, in load and with a fault: readable at each width, and each update takes under 50 ms", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 200 })
      router.get(urlOf(120)).script(SimulatedFleet.Fault.refuse, { times: 1e9 })
      for (const view of [{ width: 390 }, { width: 1280, theme: "dark" as const }, { width: 2560 }]) {
        const { errors, page } = yield* open(browser, view)
        yield* Effect.promise(async () => {
          await signIn(page, router.url)
          await page.getByText("199 of 200 backends well").waitFor()
          await page.getByText("node-121 is unhealthy").waitFor()
          const first = page.locator(".line").first()
          assert.match(await first.textContent() ?? "", /node-121.*unhealthy/)
          assert.strictEqual(await page.locator(".line").count(), 200)
          assert.isAtMost(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0)
          const loads = [llama31, mistral, llama31].map(({ name }) => chat(router.url, name))
          await page.getByLabel("Filter backends").fill("node-19")
          assert.strictEqual(await page.locator(".line").count(), 10)
          await page.getByLabel("Filter backends").fill("")
          assert.deepStrictEqual(await serious(page), [])
          for (let i = 0; (await updates(page)).length < 10; i++) {
            await chat(router.url, i % 2 === 0 ? llama31.name : mistral.name)
          }
          await Promise.all(loads)
          const times = [...await updates(page)].sort((a, b) => a - b)
          // A busy machine may stop the browser in the middle of one.
          assert.isBelow(times[Math.floor(times.length * 0.9) - 1]!, 50, times.join())
        })
        assert.deepStrictEqual(errors, [])
      }
    }))

  test("names of models and tenants are text, whatever is in them", () =>
    Effect.gen(function* () {
      const evil = SimulatedFleet.Model.model({ ...mistral, name: "<script>alert(1)</script>:7b" })
      const router = yield* serve({ models: [llama31, evil], env: { LLAMERO_TENANT_HEADER: "x-tenant" } })
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("3 of 3 backends well").waitFor()
        await page.locator("option", { hasText: evil.name }).waitFor({ state: "attached" })
        await chat(router.url, hidden)
        await page.locator(".decisions").getByRole("button", { name: hidden }).click()
        await page.getByRole("dialog").getByText(hidden).first().waitFor()
        assert.strictEqual(await page.title(), "llamero status")
        assert.strictEqual(await page.locator("script").count(), 1)
      })
      assert.deepStrictEqual(errors, [])
    }))

  for (const [runtime, command] of Object.entries(runtimes)) {
    test(`of the reference server on ${runtime}, without an Ollama: the simulated backend is shown`, () =>
      Effect.gen(function* () {
        const running = yield* start([...command, "src/command/serve/server.ts"], {
          LLAMERO_ADMIN_TOKEN: token,
          LLAMERO_DECISIONS: "100",
          LLAMERO_PORT: "0",
          LLAMERO_LOG_LEVEL: "Warn",
        })
        const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
        const { errors, page } = yield* open(browser, { theme: "dark" })
        yield* Effect.promise(async () => {
          await signIn(page, url)
          await page.getByRole("button", { name: "simulated-a100" }).waitFor()
          await chat(url, llama31.name)
          await page.locator(".decisions").getByRole("button", { name: llama31.name }).first().waitFor()
          assert.deepStrictEqual(await serious(page), [])
        })
        assert.deepStrictEqual(errors, [])
      }))
  }
})
