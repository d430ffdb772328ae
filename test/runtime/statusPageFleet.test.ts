/** The status page in a real Chromium while the fleet is empty, down, drained or warmed, and under `deno serve`. */
import { assert, describe } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as NoGpuProbe from "../../src/layers/gpu/NoGpuProbe.ts"
import * as HttpOllamaApi from "../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import * as CronPlan from "../../src/plugins/plans/CronPlan.ts"
import { Fleet, type Member } from "../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { launched, open } from "../support/chromium.ts"
import { denoServe, prints, start } from "../support/processes.ts"
import { mistral, serve, token, urlOf } from "../support/statusFleet.ts"
import { ask, serious, signIn, test } from "../support/statusPage.ts"

const browser = launched()

const reached = Layer.mergeAll(
  NodeTransport.layer(),
  HttpOllamaApi.layerTransport().pipe(Layer.provide(NodeTransport.layer())),
  NoGpuProbe.layer,
)

describe("the status page, when there is nobody to send requests to", () => {
  test("helps where the fleet is empty, and says how to record requests", () =>
    Effect.gen(function* () {
      const members: ReadonlyArray<Member> = []
      const empty = Layer.succeed(Fleet, {
        members: () => members,
        changes: Stream.make(members),
        setState: () => Effect.void,
      })
      const router = yield* serve({
        place: Layer.merge(empty, reached),
        simulated: false,
        env: { LLAMERO_VRAM: "off", LLAMERO_DECISIONS: "0" },
      })
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByRole("heading", { name: "This router has no backends yet" }).waitFor()
        await page.getByText("LLAMERO_BACKENDS=gpu-1:11434").waitFor()
        await page.getByText("LLAMERO_DECISIONS=200 npm start").waitFor()
        await page.getByText("No backend has a model that can chat.").waitFor()
        await page.getByText("No plan wants a model in memory.").waitFor()
        assert.isFalse(await page.getByText("Simulated.").isVisible())
        assert.deepStrictEqual(await serious(page), [])
      })
      assert.deepStrictEqual(errors, [])
    }))

  test("helps where no backend is healthy, and says that the answers are simulated; the help goes with the fault", () =>
    Effect.gen(function* () {
      const router = yield* serve({ backends: 2 })
      const { page } = yield* open(browser, { theme: "dark" })
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("2 of 2 backends well").waitFor()
        await page.getByText("Simulated.").waitFor()
        const help = page.getByRole("heading", { name: "No backend answers" })
        assert.isFalse(await help.isVisible())
        const servers = [0, 1].map((index) => router.get(urlOf(index)))
        const mend = servers.map((server) => server.script(SimulatedFleet.Fault.refuse, { times: 1e9 }))
        await help.waitFor()
        await page.getByText(`curl ${urlOf(0)}/api/version`).waitFor()
        await page.getByText("No backend is healthy: every request is refused").waitFor()
        assert.deepStrictEqual(await serious(page), [])
        for (const undo of mend) undo()
        await page.getByText("2 of 2 backends well").waitFor()
        await help.waitFor({ state: "hidden" })
      })
    }))
})

describe("the status page during a drain", () => {
  test("over sockets, under load: it shows draining, then drained, and every stream ends whole", () =>
    Effect.gen(function* () {
      const options = { decodeRate: 12, parallelism: 4 }
      const [one, other] = [yield* SimulatedOllamaServer.make(options), yield* SimulatedOllamaServer.make(options)]
      const fleet = StaticFleet.layer([
        { url: one.url, id: "gpu-one", parallelism: 4 },
        { url: other.url, id: "gpu-two", parallelism: 4 },
      ])
      const router = yield* serve({
        place: Layer.merge(fleet.pipe(Layer.orDie), reached),
        simulated: false,
        env: { LLAMERO_VRAM: "off" },
      })
      const { errors, page } = yield* open(browser)
      const stream = async (): Promise<string> => {
        const answer = await ask(router.url, "tiny-eos")
        return `${answer.status} ${(await answer.text()).includes(`"done":true`) ? "whole" : "cut"}`
      }
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        await page.getByText("2 of 2 backends well").waitFor()
        await page.locator("option", { hasText: "tiny-eos" }).waitFor({ state: "attached" })
        const first = Array.from({ length: 10 }, stream)
        const rows = page.locator(".under-way tbody tr")
        await rows.filter({ hasText: "gpu-one" }).first().waitFor()
        await rows.filter({ hasText: "gpu-two" }).first().waitFor()
        await page.locator(".card").getByRole("button", { name: "gpu-one" }).click()
        const drawer = page.getByRole("dialog", { name: "gpu-one" })
        await drawer.getByRole("button", { name: "Drain", exact: true }).click()
        await page.getByRole("dialog", { name: "Drain" }).getByRole("button", { name: "Drain" }).click()
        const badge = drawer.locator(".badge").first()
        await badge.and(page.getByText("draining", { exact: true })).waitFor()
        await drawer.getByText(/It is draining by an operator: \d+ requests? under way\./).waitFor()
        const later = Array.from({ length: 4 }, stream)
        await badge.and(page.getByText("drained", { exact: true })).waitFor()
        await drawer.getByText("It is drained by an operator: it can be stopped.").waitFor()
        assert.strictEqual(await rows.filter({ hasText: "gpu-one" }).count(), 0)
        const ended = await Promise.all([...first, ...later])
        assert.deepStrictEqual(ended.filter((text) => text !== "200 whole"), [])
        assert.deepStrictEqual(await serious(page), [])
        await page.keyboard.press("Escape")
        await page.getByText("gpu-one is drained by an operator: it can be stopped").waitFor()
        await page.getByText("No backend is answering a request.").waitFor()
      })
      assert.deepStrictEqual(errors, [])
    }))
})

describe("the prewarm schedule on the status page", () => {
  test("has each plan with its times, and what waits with the reason", () =>
    Effect.gen(function* () {
      const huge = SimulatedFleet.Model.model({ name: "huge:70b", size: 60e9 })
      const router = yield* serve({
        backends: 3,
        models: [mistral, huge],
        plans: [
          CronPlan.make({ models: [mistral.name], from: "0 0 * * *", until: "59 23 * * *" }),
          CronPlan.make({ models: ["later:7b"], from: "0 3 1 1 *", until: "0 4 1 1 *" }),
          {
            kind: "plan",
            name: "big",
            targets: () => Effect.succeed([{ model: huge.name, backends: ["node-003"] }]),
          },
        ],
      })
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, router.url)
        const panel = page.getByRole("region", { name: "Prewarm schedule" })
        await panel.getByText(/^(will )?wants? mistral:7b: .*(until|next) /).waitFor()
        await panel.getByText(/^will want later:7b: last until 1 Jan .*, next 1 Jan 0[23]:55, in \d+ d/).waitFor()
        await panel.getByText(/^wants huge:70b since \d\d:\d\d, asked every second$/).waitFor()
        await panel.getByText(/^on node-003 since \d\d:\d\d: no free memory$/).waitFor()
        assert.deepStrictEqual(await serious(page), [])
      })
      assert.deepStrictEqual(errors, [])
    }))
})

describe("the status page of the web handler", () => {
  test("under deno serve: it is live, shows changes, and survives a restart", () =>
    Effect.gen(function* () {
      const backend = yield* SimulatedOllamaServer.make({ decodeRate: 200 })
      const { host: name } = new URL(backend.url)
      const env = {
        LLAMERO_ADMIN_TOKEN: token,
        LLAMERO_BACKENDS: backend.url,
        LLAMERO_DECISIONS: "100",
        LLAMERO_LOG_LEVEL: "Warn",
      }
      const first = yield* start([...denoServe, "examples/deno-serve.ts"], env)
      const [, url = ""] = yield* prints(first, /istening on (http:\/\/[\d.]+:\d+)/)
      const { errors, page } = yield* open(browser)
      yield* Effect.promise(async () => {
        await signIn(page, url)
        await page.getByText("1 of 1 backend well").waitFor()
        await page.locator("option", { hasText: "tiny-eos" }).waitFor({ state: "attached" })
        await ask(url, "tiny-eos").then((answer) => answer.text())
        await page.locator(".decisions").getByRole("button", { name: "tiny-eos" }).first().waitFor()
        await page.getByText("p95").first().waitFor()
        await page.locator(".card").getByRole("button", { name }).click()
        await page.getByRole("button", { name: "Drain", exact: true }).click()
        await page.getByRole("dialog", { name: "Drain" }).getByRole("button", { name: "Drain" }).click()
        await page.getByRole("status").getByText(`${name} is draining`).waitFor()
        await page.getByText("An operator has taken every backend out").waitFor()
        await page.keyboard.press("Escape")
        first.child.kill("SIGKILL")
        await page.getByText("reconnecting").waitFor()
      })
      yield* first.ended
      yield* start([...denoServe.slice(0, -1), new URL(url).port, "examples/deno-serve.ts"], env)
      yield* Effect.promise(async () => {
        await page.getByText("live", { exact: true }).waitFor()
        await page.getByText("1 of 1 backend well").waitFor()
      })
      assert.deepStrictEqual(errors, [])
    }))
})
