/** Reloads under load, right and wrong ones mixed, over real sockets: every request gets exactly one right answer. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, References } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createHash } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { app } from "../../../src/command/serve/guards.ts"
import { reach as nodeReach } from "../../../src/command/serve/node.ts"
import * as Place from "../../../src/command/serve/place.ts"
import { placing } from "../../../src/command/serve/placing.ts"
import * as Reload from "../../../src/command/serve/reload.ts"
import { stack } from "../../../src/command/serve/stack.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as Settings from "../../../src/layers/Settings.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import { runs } from "../../support/runs.ts"

const reloads = runs(100, 1000)
const clients = 6
const key = "sk-of-the-clients"
const token = "secret-of-operators"
const sha256 = createHash("sha256").update(key).digest("hex")
const plugins = {
  ...{ filters: [], guards: [], observers: [], plans: [], scorers: [] },
  ...{ picker: undefined, retry: undefined, victims: undefined },
}

/** A step's configuration; what is wrong with it, where something is. */
interface Step {
  readonly env: Readonly<Record<string, string>>
  readonly fleet: string
  readonly keys: string
  readonly wrong: RegExp | undefined
}

/** The configuration of a step. The first backend stays, the others come and go. */
const stepOf = (at: number, urls: ReadonlyArray<string>): Step => {
  const pick = <A>(...of: ReadonlyArray<A>): A => of[at % of.length]!
  const present = urls.filter((_, i) => i === 0 || (at >> i) % 2 === 0)
  const backends = present.map((url, i) => ({
    url,
    id: `b${urls.indexOf(url)}`,
    parallelism: 8,
    weight: 1 + (at + i) % 3,
  }))
  const others = Array.from({ length: at % 4 }, (_, i) => ({ id: `other-${i}`, sha256: `${i}`.repeat(64) }))
  const right = {
    env: {
      LLAMERO_ALIASES: pick("gpt=tiny-eos", "gpt=tiny-loop", "gpt=nowhere|tiny-eos,claude=tiny-loop"),
      LLAMERO_SCORERS: pick("resident=3,least-busy=1", "least-busy=1", "peak-ewma=1,weight=2", "session-affinity=9"),
      LLAMERO_PICKER: pick("max-score", "two-choices", "weighted-random"),
      LLAMERO_QUEUE_CAPACITY: pick("64", "128", "1000"),
      LLAMERO_RATE_LIMIT: pick("", "concurrent=1000", "requests=1000000,tokens=100000000"),
      LLAMERO_DECISIONS: pick("0", "10", "100"),
      LLAMERO_ATTEMPTS: pick("2", "3", "5"),
      LLAMERO_GAP_TIMEOUT: pick("60s", "2m"),
      LLAMERO_CONTEXT_GUARD: pick("on", "off"),
      LLAMERO_TENANT_WEIGHTS: pick("", "clients=2", "clients=0.5"),
      LLAMERO_PINNED: pick("", "tiny-eos"),
    },
    fleet: JSON.stringify({ backends }),
    keys: JSON.stringify({ keys: [{ id: "clients", sha256 }, ...others] }),
    wrong: undefined,
  }
  const wrongs: ReadonlyArray<Partial<Step>> = [
    { env: { ...right.env, LLAMERO_ALIASES: "gpt" }, wrong: /LLAMERO_ALIASES/ },
    { env: { ...right.env, LLAMERO_PORT: "80" }, wrong: /LLAMERO_PORT: only a restart/ },
    { fleet: `{"backends": [`, wrong: /LLAMERO_FLEET_FILE/ },
    { fleet: JSON.stringify({ backends: [...backends, ...backends] }), wrong: /LLAMERO_FLEET_FILE: .*two backends/ },
    { keys: "{}", wrong: /LLAMERO_KEYS_FILE/ },
    { fleet: "{}", keys: "", env: { ...right.env, LLAMERO_HOST: "::" }, wrong: /LLAMERO_HOST.*FLEET.*KEYS/ },
  ]
  return at % 3 === 2 ? { ...right, ...wrongs[Math.floor(at / 3) % wrongs.length] } : right
}

interface Ended {
  readonly prompt: string
  readonly status: number
  readonly last: { readonly done?: boolean; readonly model?: string } | undefined
  readonly records: number
  readonly text: string
}

/** A streamed request in either of two APIs, for an alias or a model. */
const ask = async (url: string, prompt: string, at: number): Promise<Ended> => {
  const body = { model: at % 2 === 0 ? "gpt" : "tiny-eos", options: { num_predict: 3 } }
  const isChat = at % 3 === 0
  const response = await fetch(`${url}${isChat ? "/api/chat" : "/api/generate"}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify(isChat ? { ...body, messages: [{ role: "user", content: prompt }] } : { ...body, prompt }),
  })
  const text = await response.text()
  const lines = text.split("\n").filter((line) => line !== "")
  return {
    prompt,
    status: response.status,
    last: response.status === 200 ? JSON.parse(lines.at(-1) ?? "{}") : undefined,
    records: lines.filter((line) => line.includes(`"done":true`)).length,
    text,
  }
}

const serve = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "llamero-reload-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true })),
  )
  const [fleetFile, keysFile] = [join(folder, "fleet.json"), join(folder, "keys.json")]
  const backends = yield* Effect.forEach(
    [0, 1, 2],
    () => SimulatedOllamaServer.make({ parallelism: 8, decodeRate: 2000, callsMax: 1_000_000 }),
  )
  const base = {
    ...{ LLAMERO_FLEET_FILE: fleetFile, LLAMERO_KEYS_FILE: keysFile, LLAMERO_ADMIN_TOKEN: token },
    ...{ LLAMERO_COALESCE: "off", LLAMERO_HEALTH_INTERVAL: "500ms", LLAMERO_LOG_LEVEL: "None" },
  }
  let env: Readonly<Record<string, string>> = base
  const urls = backends.map(({ url }) => url)
  const write = (step: Step) => {
    writeFileSync(fleetFile, step.fleet)
    writeFileSync(keysFile, step.keys)
    env = { ...base, ...step.env }
  }
  write(stepOf(0, urls))
  const read = Effect.suspend(() =>
    Effect.mapError(Settings.fromEnv(env), (error) => ({ message: Settings.explain(error) }))
  )
  const settings = yield* read
  const reach = nodeReach(settings)
  const place = yield* Place.choose(settings, reach, { named: [] })
  const choices = placing(settings)
  const reloading = Reload.make({ read, watched: [], placing: choices, place, files: reach.files })
  const server = NodeServer.layer(app(settings, choices, false, Reload.forOperators(reloading)), { port: 0 }).pipe(
    Layer.provide(stack(settings, choices, plugins, false)),
    Layer.provide(place.layer),
  )
  const { url } = Context.get(yield* Layer.build(server), NodeServer.NodeServer)
  return { backends, choices, place, reloading, url, urls, write }
})

describe("reloads under load", () => {
  it.live(
    `${reloads} of them, right and wrong ones mixed, lose no request: each has exactly one right answer`,
    () =>
      Effect.scoped(Effect.gen(function* () {
        const { backends, choices, reloading, url, urls, write } = yield* serve
        yield* Effect.promise(async () => {
          while ((await fetch(`${url}/readyz`)).status !== 200) await new Promise((next) => setTimeout(next, 20))
        })
        let stop = false
        const ended: Array<Ended> = []
        let asked = 0
        const load = Promise.all(Array.from({ length: clients }, async () => {
          while (!stop) {
            const at = asked++
            ended.push(await ask(url, `prompt-${at}-`, at))
          }
        }))
        const counts = { done: 0, refused: 0 }
        const began = performance.now()
        let last = stepOf(0, urls)
        for (let at = 1; at <= reloads; at++) {
          const step = stepOf(at, urls)
          write(step)
          if (at % 100 === 0) {
            const status = yield* Effect.promise(async () =>
              (await fetch(`${url}/admin/reload`, { method: "POST", headers: { authorization: `Bearer ${token}` } }))
                .status
            )
            assert.strictEqual(status, step.wrong === undefined ? 200 : 409)
            if (step.wrong === undefined) counts.done++
            else counts.refused++
          } else {
            const result = yield* Effect.result(reloading.reload())
            if (result._tag === "Success") counts.done++
            else {
              counts.refused++
              assert.match(result.failure.message, step.wrong ?? /nothing is wrong/)
            }
          }
          if (step.wrong === undefined) last = step
          const { settings } = choices.running
          assert.strictEqual(String(settings.now.queueCapacity), last.env["LLAMERO_QUEUE_CAPACITY"])
          // Time for the requests.
          yield* Effect.sleep("2 millis")
        }
        const seconds = (performance.now() - began) / 1000
        stop = true
        yield* Effect.promise(() => load)
        console.log(
          `${reloads} reloads (${counts.refused} refused) in ${
            seconds.toFixed(1)
          } s, ${ended.length} requests meanwhile`,
        )
        assert.strictEqual(counts.done + counts.refused, reloads)
        assert.isAbove(counts.refused, reloads / 4)
        assert.isAbove(ended.length, 200)
        const isRight = ({ last, records, status, text }: Ended) =>
          status === 200 && records === 1 && last?.done === true && /^tiny-(eos|loop)$/.test(last.model ?? "") &&
          !text.includes(`"error"`)
        assert.deepStrictEqual(ended.filter((one) => !isRight(one)).slice(0, 3), [])
        // Each prompt has reached a backend exactly once.
        const decoder = new TextDecoder()
        const prompts = backends.flatMap(({ server }) =>
          server.calls.flatMap(({ body }) => body === undefined ? [] : /prompt-\d+-/.exec(decoder.decode(body)) ?? [])
        )
        assert.strictEqual(new Set(prompts).size, prompts.length, "no request was sent twice")
        assert.strictEqual(prompts.length, ended.length)
        assert.strictEqual(new Set(backends.map(({ server }) => server.calls.length > 50)).size, 1)
      })).pipe(Effect.provide(Logger.layer([])), Effect.provideService(References.MinimumLogLevel, "None")),
    300_000,
  )
})
