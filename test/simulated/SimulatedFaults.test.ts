/** Every scripted fault, on each path where it shows differently. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Fault } from "../../src/simulated/SimulatedFleet.ts"
import { lines, on, ps, send, server } from "./support.ts"

const messages = [{ role: "user", content: "hi" }]
const generate = (more: object = {}) => send("/api/generate", { model: "tiny-eos", prompt: "hi", ...more })

describe("faults", () => {
  on("refuse: no connection, until cleared", {}, function* () {
    const clear = (yield* server).script(Fault.refuse)
    for (let index = 0; index < 3; index++) {
      const heard = yield* send("/api/version")
      assert.deepStrictEqual([heard.over, heard.error?.reason, heard.upstream], ["fail", "Refused", undefined])
    }
    clear()
    assert.strictEqual((yield* send("/api/version")).status, 200)
  })

  on("happen for a number of requests to a path, then end", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.busy, { path: "/api/generate", times: 2 })
    simulated.script(Fault.internal, { path: "/v1/*", times: 1 })
    const statuses = yield* Effect.forEach(["/api/tags", "/v1/models", "/v1/models"], (path) => send(path))
    assert.deepStrictEqual(statuses.map(({ status }) => status), [200, 500, 200])
    const calls = yield* Effect.forEach([1, 2, 3], () => generate())
    assert.deepStrictEqual(calls.map(({ status }) => status), [503, 503, 200])
  })

  on("reset: before an answer, or after some tokens", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.reset(), { times: 1 })
    const early = yield* generate()
    assert.deepStrictEqual([early.status, early.error?.reason], [undefined, "Reset"])
    simulated.script(Fault.reset(2), { times: 1 })
    const late = yield* generate()
    assert.deepStrictEqual([late.status, late.chunks.length, late.error?.reason], [200, 2, "Reset"])
    assert.strictEqual(simulated.resident[0]?.refs, 0)
  })

  on("hang: accepted and never answered, until the client leaves", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.hang, { times: 1 })
    const heard = yield* generate()
    yield* TestClock.adjust("1 day")
    assert.deepStrictEqual([heard.status, heard.over, simulated.open], [undefined, undefined, 1])
    heard.upstream?.abort()
    assert.strictEqual(simulated.open, 0)
  })

  on("stall: silent after some tokens, and keeps its slot", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.stall(3), { times: 1 })
    const heard = yield* generate()
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual([heard.chunks.length, heard.over, simulated.resident[0]?.active], [3, undefined, 1])
    const next = yield* generate()
    assert.isUndefined(next.status)
    heard.upstream?.abort()
    yield* Effect.yieldNow
    yield* Effect.yieldNow
    assert.strictEqual(next.over, "end")
  })

  on("crash: an error line on the native paths, and the model is unloaded until the next request", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.crash(2), { times: 1 })
    const heard = yield* generate()
    assert.deepStrictEqual([heard.status, heard.over], [200, "end"])
    assert.deepStrictEqual(lines(heard).slice(2), [
      { error: "an error was encountered while running the model: unexpected EOF" },
    ])
    assert.deepStrictEqual(yield* ps, [])
    assert.strictEqual((yield* generate()).over, "end")
    assert.strictEqual(simulated.counts.loads, 2)
  })

  on("crash: a real 500 when nothing was sent yet", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.crash(0), { times: 1 })
    assert.strictEqual((yield* generate()).status, 500)
    simulated.script(Fault.crash(2), { times: 1 })
    assert.strictEqual((yield* generate({ stream: false })).status, 500)
  })

  on("crash: breaks the other streams of the runner too", { decodeRate: 1, parallelism: 2 }, function* () {
    const simulated = yield* server
    const other = yield* generate()
    simulated.script(Fault.crash(1), { times: 1 })
    yield* generate()
    yield* TestClock.adjust("3 seconds")
    assert.include(other.text, "unexpected EOF")
    assert.strictEqual(other.over, "end")
  })

  on("crash: an empty chunk and no [DONE] on /v1/chat/completions", {}, function* () {
    ;(yield* server).script(Fault.crash(1), { times: 1 })
    const heard = yield* send("/v1/chat/completions", { model: "tiny-eos", messages, stream: true })
    const last = heard.chunks.at(-1)!
    assert.deepStrictEqual([heard.status, heard.over, heard.chunks.length], [200, "end", 2])
    assert.include(last, `"model":""`)
    assert.notInclude(heard.text, "[DONE]")
    assert.notInclude(heard.text, "error")
  })

  on("crash: nothing more on /v1/messages", {}, function* () {
    ;(yield* server).script(Fault.crash(1), { times: 1 })
    const body = { model: "tiny-eos", messages, max_tokens: 9, stream: true }
    const heard = yield* send("/v1/messages", body)
    assert.strictEqual(heard.over, "end")
    assert.notInclude(heard.text, "message_stop")
  })

  on("truncate: ends without a terminator, or answers that it is not done", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.truncate(2), { times: 2 })
    const heard = yield* generate()
    assert.deepStrictEqual([heard.over, lines(heard).map((line) => line["done"])], ["end", [false, false]])
    const whole = yield* generate({ stream: false })
    assert.deepStrictEqual([whole.status, lines(whole)[0]!["done"]], [200, false])
  })

  on("500, 503 and 429: in the dialect of the path", {}, function* () {
    const simulated = yield* server
    for (const [fault, status] of [[Fault.internal, 500], [Fault.busy, 503], [Fault.tooMany, 429]] as const) {
      simulated.faults.clear()
      simulated.script(fault)
      const native = yield* generate()
      assert.strictEqual(native.status, status)
      assert.hasAllKeys(lines(native)[0]!, ["error"])
      const openAi = yield* send("/v1/chat/completions", { model: "tiny-eos", messages })
      assert.strictEqual(openAi.status, status)
      assert.strictEqual(JSON.parse(openAi.text).error.type, "api_error")
      const anthropic = yield* send("/v1/messages", { model: "tiny-eos", messages, max_tokens: 1 })
      const types = { 500: "api_error", 503: "overloaded_error", 429: "rate_limit_error" }
      assert.strictEqual(JSON.parse(anthropic.text).error.type, types[status])
    }
  })

  on("slow: the normal answer, but later; a slow ps", {}, function* () {
    ;(yield* server).script(Fault.slow("10 seconds"), { path: "/api/ps" })
    const heard = yield* send("/api/ps")
    yield* TestClock.adjust("9999 millis")
    assert.isUndefined(heard.status)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(heard.text, `{"models":[]}`)
  })

  on("garbage: not HTTP, or not Ollama", {}, function* () {
    const simulated = yield* server
    simulated.script(Fault.garbage, { times: 1 })
    assert.strictEqual((yield* send("/api/version")).error?.reason, "Protocol")
    simulated.script(Fault.answer(), { times: 1 })
    const heard = yield* send("/api/version")
    assert.deepStrictEqual([heard.status, heard.headers["content-type"]], [200, "text/html"])
  })

  on("down: streams break, memory is empty, connections are refused; up: works again", { decodeRate: 1 }, function* () {
    const simulated = yield* server
    const running = yield* generate()
    const waiting = yield* generate()
    yield* TestClock.adjust("2 seconds")
    simulated.down()
    assert.deepStrictEqual([running.error?.reason, waiting.error?.reason], ["Reset", "Reset"])
    assert.deepStrictEqual([running.chunks.length, simulated.open, simulated.resident.length], [2, 0, 0])
    assert.strictEqual((yield* send("/api/version")).error?.reason, "Refused")
    yield* TestClock.adjust("10 seconds")
    assert.lengthOf(running.chunks, 2)
    simulated.up()
    assert.deepStrictEqual(yield* ps, [])
    const again = yield* generate({ options: { num_predict: 1 } })
    yield* TestClock.adjust("1 second")
    assert.strictEqual(again.over, "end")
  })

  on("down during a load", { loadTime: "4 seconds", gpus: ["24 GiB"] }, function* () {
    const simulated = yield* server
    yield* generate()
    yield* TestClock.adjust("1 second")
    assert.isAbove(simulated.gpus[0]!.used, 0)
    simulated.down()
    simulated.up()
    assert.deepStrictEqual([simulated.gpus[0]!.used, simulated.loading, simulated.pending], [0, undefined, 0])
  })

  on("an unknown backend refuses", {}, function* () {
    const heard = yield* send("/api/version", undefined, { url: "http://elsewhere:1" })
    assert.deepStrictEqual([heard.error?.reason, heard.error?.backend], ["Refused", "elsewhere:1"])
  })
})
