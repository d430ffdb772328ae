/** What tests of the status page do in a browser. */
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { Page } from "playwright-core"
import { executable } from "./chromium.ts"
import { token } from "./statusFleet.ts"

if (executable === undefined) console.log("no Chromium here: the status page is not tested in a browser")

/** A test that needs Chromium. */
export const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live.skipIf(executable === undefined)(name, () => Effect.scoped(body()), 180_000)

const axe = () => readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What axe finds that is serious or critical, one line each. */
export const serious = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe())
  return await page.evaluate(async () => {
    const found = await (globalThis as unknown as { axe: { run: () => Promise<Found> } }).axe.run()
    interface Found {
      readonly violations: ReadonlyArray<{ impact: string; id: string; nodes: ReadonlyArray<{ html: string }> }>
    }
    return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`)
  })
}

export const signIn = async (page: Page, url: string, as = token): Promise<void> => {
  await page.goto(`${url}/ui`)
  await page.getByLabel("Admin token").fill(as)
  await page.keyboard.press("Enter")
}

/** The time of every update in the page, in milliseconds. */
export const updates = (page: Page): Promise<ReadonlyArray<number>> =>
  page.evaluate(() => performance.getEntriesByName("llamero:update").map(({ duration }) => duration))

/** A chat as clients send it. */
export const ask = (url: string, model: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${url}/api/chat`, {
    method: "POST",
    headers,
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Why?" }] }),
  })

/** What the admin API answers. */
// deno-lint-ignore no-explicit-any
export const admin = async (url: string, path: string): Promise<any> =>
  (await fetch(`${url}/admin/${path}`, { headers: { authorization: `Bearer ${token}` } })).json()
