/** A real Prometheus watches a router: every query of the dashboards finds something, and every alert fires. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { dashboards } from "../../scripts/deploy/panels.ts"
import { alertFile, recordingFile } from "../../scripts/deploy/ruleFiles.ts"
import { shortened } from "../../scripts/deploy/rules.ts"
import { NodeServer } from "../../src/layers/server/NodeServer.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { Router } from "../../src/services/Router.ts"
import { absent } from "../deploy/promtool.ts"
import * as Monitored from "../support/monitored.ts"
import * as Prometheus from "../support/prometheus.ts"
import { ask } from "../support/routers.ts"

if (absent !== undefined) console.log(`dashboards and alerts are not tried: ${absent}`)

const { Fault } = SimulatedFleet
/** An hour of the rules is a minute here. */
const rules = shortened(60)
const wait = (seconds: number) => new Promise<void>((done) => setTimeout(done, seconds * 1000))

/** A query as a dashboard sends it, with shorter windows. */
const asked = (expr: string): string =>
  expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "15s").replaceAll("[1h]", "[30s]")

const clients = (url: string) => {
  const left = new AbortController()
  const post = async (path: string, body: object): Promise<void> => {
    const sent = { method: "POST", body: JSON.stringify(body), signal: left.signal }
    await fetch(url + path, sent).then((response) => response.text()).catch(() => {})
  }
  const chat = (content: string, more: object = {}) =>
    post("/api/chat", { model: "tiny-eos", messages: [{ role: "user", content }], ...more })
  /** Calls `one` again and again until it is told to stop. */
  const repeat = (one: (turn: number) => Promise<unknown>, pause: number) => {
    let goesOn = true
    const ended = (async () => {
      for (let turn = 0; goesOn; turn++) {
        await one(turn)
        await wait(pause)
      }
    })()
    return async () => {
      goesOn = false
      await ended
    }
  }
  return { chat, post, repeat, leave: () => left.abort() }
}
type Clients = ReturnType<typeof clients>

/** Load in which everything happens that dashboards show. Returns how to end it. */
const load = ({ chat, post, repeat }: Clients) => {
  const seeded = { options: { temperature: 0, seed: 1 } }
  const stops = [
    repeat((turn) => Promise.all([chat(`${turn}`), chat(`and ${turn}`)]), 0.1),
    repeat((turn) => Promise.all(Array.from({ length: 4 }, () => chat(`same ${turn}`, seeded))), 0.5),
    repeat((turn) => post("/api/embed", { model: "tiny-embed", input: `${turn}` }), 0.3),
    repeat((turn) => {
      const { name } = turn % 2 === 0 ? Monitored.models.llama31 : Monitored.models.mistral
      return post("/api/generate", { model: name, prompt: `${turn}` })
    }, 1.5),
    repeat((turn) => post("/api/generate", { model: Monitored.large.name, prompt: `${turn}` }), 2),
  ]
  return () => Promise.all(stops.map((stop) => stop()))
}

const everyQuery = async (prometheus: Prometheus.RunningPrometheus) => {
  const empty: Array<string> = []
  for (const { panels, title } of dashboards) {
    for (const panel of panels) {
      for (const { expr } of panel.queries) {
        const found = await prometheus.range(asked(expr), 30)
        const known = found.some(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))))
        if (!known) empty.push(`${title}: ${panel.title}: ${expr}`)
      }
    }
  }
  for (const { record } of rules.recordings) {
    if ((await prometheus.range(record, 30)).length === 0) empty.push(record)
  }
  return empty
}

/** Waits until an alert has fired. */
const fires = async (prometheus: Prometheus.RunningPrometheus, ...names: ReadonlyArray<string>) => {
  const missing = async () => {
    const fired = await prometheus.fired(300)
    return names.filter((name) => !fired.has(name))
  }
  for (let looks = 0; looks < 90; looks++) {
    if ((await missing()).length === 0) return
    await wait(1)
  }
  assert.deepStrictEqual(await missing(), [], "these alerts never fired")
}

/** Far more requests than the backends can take, until it is told to stop. */
const flood = (url: string) => {
  const { leave, post, repeat } = clients(url)
  const endless = () => void post("/api/generate", { model: "tiny-loop", prompt: "x", options: { num_predict: 1e6 } })
  for (let i = 0; i < 120; i++) endless()
  const stop = repeat(() => Promise.resolve(Array.from({ length: 5 }, endless)), 0.1)
  return async () => {
    await stop()
    leave()
  }
}

describe("monitoring", () => {
  it.live.skipIf(absent !== undefined)(
    "finds something with every query of the dashboards, and fires every alert once by a real fault",
    () => {
      const faults: Monitored.Faults = { taken: 0, broken: false, guard: 20 }
      return Effect.scoped(Effect.gen(function* () {
        const { port, url } = yield* NodeServer
        const { get } = yield* SimulatedFleet.SimulatedFleet
        const server = (id: string) => get(Monitored.url(id))
        const prometheus = yield* Prometheus.make(
          { "llamero": `127.0.0.1:${port}`, "llamero-gone": "127.0.0.1:1" },
          { "recording.yml": recordingFile(rules.recordings, "1s"), "alerts.yml": alertFile(rules.alerts, "1s") },
        )
        const { chat, leave, post, repeat } = clients(url)
        const growing = repeat(() => Promise.resolve(faults.taken += 0.2e9), 1)
        const stop = load({ chat, leave, post, repeat })
        yield* Effect.promise(async () => {
          await wait(5)
          // The backend that has the model in memory fails for a while.
          const mend = server("d").script(Fault.refuse, { path: "/api/chat" })
          await fires(prometheus, "LlameroBreakerFlaps")
          mend()
          const calm = flood(url)
          await fires(prometheus, "LlameroQueueLong", "LlameroShedding", "LlameroModelSpilled", "LlameroLowGpuMemory")
          await calm()
          await fires(prometheus, "LlameroGpuMemoryGrows", "LlameroRoutingSlowNow", "LlameroRoutingSlow", "LlameroDown")
          await fires(prometheus, "LlameroSpansLost")
          assert.strictEqual((await prometheus.targets())["llamero"], "")
          assert.deepStrictEqual(await everyQuery(prometheus), [])
          assert.isAbove(await prometheus.exemplars("llamero_request_duration_seconds_bucket"), 0)
          await growing()
          faults.broken = true
          server("c").down()
          await fires(prometheus, "LlameroGpuFault", "LlameroBackendUnhealthy")
          await stop()
          for (const id of ["a", "b", "d"]) server(id).script(Fault.hang, { path: "/api/chat" })
          for (let i = 0; i < 4; i++) void chat(`hangs ${i}`)
          await fires(prometheus, "LlameroTokensStalled")
          leave()
          faults.guard = 0
        })
        // Each is refused at once: no listener runs in between.
        for (let i = 0; i < 300; i++) yield* ask("/api/chat", { model: "", messages: [] })
        yield* Effect.promise(() => fires(prometheus, "LlameroEventsLost"))
        yield* (yield* Router).drain
        yield* Effect.promise(async () => {
          await fires(prometheus, "LlameroNotReady")
          const fired = await prometheus.fired(300)
          assert.sameMembers([...fired], rules.alerts.map(({ alert }) => alert))
        })
      })).pipe(Effect.provide(Monitored.layer(faults)))
    },
    600_000,
  )
})
