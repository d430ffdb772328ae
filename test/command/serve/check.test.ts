/** `llamero serve --check`: each fault of a configuration is told, with its place, and all at once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import * as Check from "../../../src/command/serve/check.ts"
import * as Configuration from "../../../src/command/serve/configuration.ts"
import type * as Settings from "../../../src/layers/Settings.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import { blocksOf } from "../../support/blocks.ts"
import { prints, run, runtimes, start } from "../../support/processes.ts"
import { folderOf } from "./folders.ts"
import { type Given, wrong } from "./wrong.ts"

const main = [...runtimes.node, "src/command/main.ts"]

/** Whether something answers where the server looks for an Ollama. */
const hasOllama = await fetch("http://127.0.0.1:11434/api/version").then(({ ok }) => ok, () => false)
if (hasOllama) console.log("skipped: tests without any Ollama; one answers on 127.0.0.1:11434")

const inFolder = (texts: Readonly<Record<string, string>>, folder: string) =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.replaceAll("DIR", folder)]))

const reported = Effect.fnUntraced(function* ({ env = {}, files = {}, flags = {} }: Given) {
  const folder = yield* folderOf(files)
  const [first] = Object.keys(files)
  const config: Readonly<Record<string, string>> = first === undefined ? {} : { LLAMERO_CONFIG: join(folder, first) }
  const given = { flags: { ...config, ...inFolder(flags, folder) }, env: inFolder(env, folder), demo: false }
  const found = yield* Check.report(given)
  return { ...found, messages: found.flaws.map(({ message }) => message.replaceAll(folder, "DIR")) }
})

describe("serve --check, on a wrong configuration", () => {
  for (const [name, { says, ...given }] of Object.entries(wrong)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { flaws, messages, ok } = yield* reported(given)
        assert.isFalse(ok)
        // A text of another library is compared up to where it begins.
        assert.deepStrictEqual(messages.map((message, i) => message.slice(0, says[i]?.length)), [...says])
        for (const { message, place } of flaws) {
          if (place !== undefined) assert.include(message, `${place.file}:${place.line}:${place.column}: `)
        }
        assert.notMatch(messages.join("\n"), /sesame|12345|678|me:secret/)
      }))
  }

  it.live("tells which backends do not answer, and goes on with the others", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({})
      const { backends, flaws, ok } = yield* reported({ flags: { LLAMERO_BACKENDS: `http://127.0.0.1:9,${url}` } })
      assert.deepStrictEqual([ok, flaws.length, backends.length], [false, 0, 2])
      assert.match(backends[0]!.error ?? "", /refused/i)
      assert.match(backends[1]!.version ?? "", /^\d+\.\d+/)
    }))

  it.live("asks the backends also where something else is wrong", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({})
      const { backends, messages } = yield* reported({
        files: { "llamero.yaml": `backends: [${url}]\nprot: 1\n` },
      })
      assert.deepStrictEqual(messages, ["DIR/llamero.yaml:2:1: prot: no setting has this name; did you mean port?"])
      assert.isDefined(backends[0]?.version)
    }))
})

/** A right file, with every form that a value may have. */
const right = (url: string) => `
# yaml-language-server: $schema=llamero.schema.json
backends:
  - ${url}
port: 0
hedge: on
vram: false
queueCapacity: 5
queueDeadline: 45s
queueBytes: 1048576
bodyLimit: 1MiB
retryRatio: 0.5
totalTimeout: off
scorers: {resident: 3, least-busy: 1}
aliases: {gpt-4o: [big:70b, small:8b], mini: small:8b}
rateLimit: {requests: 60, concurrent: 4}
picker: two-choices
logLevel: Warn
zone:
`

describe("serve --check, on a right configuration", () => {
  it.live("reads every form of a value, flags before the file before the environment", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({})
      const folder = yield* folderOf({ "llamero.yaml": right(url) })
      const { settings } = yield* Configuration.open({
        flags: { LLAMERO_CONFIG: join(folder, "llamero.yaml"), LLAMERO_QUEUE_CAPACITY: "6" },
        env: { LLAMERO_QUEUE_CAPACITY: "7", LLAMERO_QUEUE_DEADLINE: "7s", LLAMERO_ATTEMPTS: "7" },
        demo: false,
      })
      const expected: Partial<Settings.Settings> = {
        backends: [url],
        port: 0,
        hedge: true,
        vram: false,
        queueCapacity: 6,
        queueMillis: 45_000,
        attemptsMax: 7,
        queueBytes: 1_048_576,
        bodyLimit: 1_048_576,
        retryRatio: 0.5,
        totalMillis: Infinity,
        scorers: [["resident", 3], ["least-busy", 1]],
        aliases: { "gpt-4o": ["big:70b", "small:8b"], mini: ["small:8b"] },
        rateLimit: { requestsPerMinute: 60, concurrent: 4 },
        picker: "two-choices",
        logLevel: "Warn",
        zone: "",
      }
      assert.deepInclude({ ...settings }, expected)
      const report = yield* reported({ files: { "llamero.yaml": right(url) } })
      assert.deepStrictEqual([report.ok, report.messages, report.backends.length], [true, [], 1])
    }))

  it.live("takes the example of docs/configure.md", () =>
    Effect.gen(function* () {
      const page = readFileSync(resolve(import.meta.dirname, "../../../docs/configure.md"), "utf8")
      const examples = blocksOf(page).filter(({ language }) => language === "yaml" || language === "json")
      assert.lengthOf(examples, 2)
      for (const { language, text } of examples) {
        const folder = yield* folderOf({ [`llamero.${language}`]: text })
        const flags = { LLAMERO_CONFIG: join(folder, `llamero.${language}`) }
        const { settings } = yield* Configuration.open({ flags, env: {}, demo: false })
        assert.include(settings.backends, "http://10.0.0.4:11434")
      }
    }))

  it.live("reads again what has changed since the start, and tells what is wrong then", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({ "llamero.json": `{ "backends": ["http://a"], "parallelism": 2 }` })
      const file = join(folder, "llamero.json")
      const { read, settings, watched } = yield* Configuration.open({
        flags: { LLAMERO_CONFIG: file, LLAMERO_ATTEMPTS: "5" },
        env: {},
        demo: false,
      })
      assert.deepStrictEqual([settings.parallelism, watched], [2, [file]])
      writeFileSync(file, `{ "backends": ["http://a"], "parallelism": 3 }`)
      const now = yield* read
      assert.deepStrictEqual([now.parallelism, now.attemptsMax], [3, 5])
      writeFileSync(file, `{ "backends": ["http://a"], "paralelism": 3 }`)
      const { message } = yield* Effect.flip(read)
      assert.include(message, "llamero.json:1:29: paralelism: no setting has this name; did you mean parallelism?")
    }))
})

/** Runs a command line in a folder. */
const runIn = (folder: string, args: string) =>
  run(["sh", "-c", `cd ${folder} && exec ${main.map((part) => resolve(part)).join(" ")} ${args}`], {})

describe("llamero serve, as a program", () => {
  it.live(
    "--check ends with 0 on a right file in its folder, and with 1 and JSON on a wrong one",
    () =>
      Effect.gen(function* () {
        const { url } = yield* SimulatedOllamaServer.make({})
        const folder = yield* folderOf({ "llamero.yaml": right(url) })
        const good = yield* runIn(folder, "serve --check --port 0")
        assert.deepStrictEqual([good.status, good.printed.split("\n")[0]], [0, "llamero: all right; read llamero.yaml"])
        writeFileSync(join(folder, "llamero.yaml"), "prot: 1\nbackends: [http://127.0.0.1:9]\n")
        const bad = yield* runIn(folder, "serve --check --json --attempts none")
        assert.strictEqual(bad.status, 1)
        const { backends, flaws, ok } = JSON.parse(bad.printed)
        assert.deepStrictEqual([ok, flaws.length, backends.length], [false, 2, 1])
        assert.deepStrictEqual(flaws[0].place, { file: "llamero.yaml", line: 1, column: 1 })
      }),
    60_000,
  )

  it.live("does not choose between two files", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({ "llamero.yaml": "port: 0", "llamero.json": "{}" })
      const { printed, status } = yield* runIn(folder, "serve")
      assert.strictEqual(status, 1)
      assert.strictEqual(
        printed,
        "llamero: llamero.json and llamero.yaml: there may be one file of settings; --config names one\n",
      )
    }), 30_000)

  it.live.skipIf(hasOllama)("makes no answers up where there is a file of settings", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({ "llamero.yaml": "port: 0" })
      const { printed, status } = yield* runIn(folder, "serve")
      assert.strictEqual(status, 1)
      assert.match(printed, /^llamero: llamero\.yaml: no backends are named, and no Ollama answers/)
    }), 30_000)

  it.live("--demo serves a simulated fleet with its page, whatever backends there are", () =>
    Effect.gen(function* () {
      const running = yield* start([...main, "serve", "--demo", "--port", "0", "--backends", "http://127.0.0.1:9"])
      const [, url = ""] = yield* prints(running, /listening on (http:\/\/[\d.]+:\d+)/)
      yield* prints(running, /SIMULATED.*"page":"http:[^"]*\/ui"/)
      const state = yield* Effect.promise(() =>
        fetch(`${url}/admin/state`, { headers: { authorization: "Bearer demo" } }).then((response) => response.status)
      )
      const page = yield* Effect.promise(() => fetch(`${url}/ui`).then((response) => response.text()))
      assert.strictEqual(state, 200)
      assert.match(page, /<script/)
    }), 30_000)
})
