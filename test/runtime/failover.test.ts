/** Three backends, one of which is killed under load: the effect on clients, breaker and metrics. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { loops, post } from "../support/load.ts"
import { prints, runtimes, start } from "../support/processes.ts"

const options = JSON.stringify({ decodeRate: 100, parallelism: 8 })
const backend = (port: number) =>
  Effect.gen(function* () {
    const running = yield* start([...runtimes.node, "test/support/backend.ts", `${port}`, options])
    const [, url = ""] = yield* prints(running, /listening on (http:\/\/[\d.]+:\d+)/)
    return { ...running, url }
  })

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }

/** The sum of a metric's series that have all these labels. */
const metric = (text: string, name: string, ...labels: ReadonlyArray<string>): number =>
  text.split("\n")
    .filter((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)

describe("failover", () => {
  it.live(
    "no request without a first byte fails; the breaker opens, tries once, and closes when the backend is back",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const backends = [yield* backend(0), yield* backend(0), yield* backend(0)]
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_BACKENDS: backends.map(({ url }) => url).join(),
          LLAMERO_PORT: "0",
          LLAMERO_PARALLELISM: "8",
          // Six attempts break off, so at least three of them before or at least three after their first byte: either
          // way one breaker opens.
          LLAMERO_BREAKER_FAILURES: "3",
          LLAMERO_BREAKER_OPEN: "1s",
          LLAMERO_HEALTH_INTERVAL: "200ms",
          LLAMERO_RETRY_PER_SECOND: "100",
          LLAMERO_LOG_LEVEL: "Warn",
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        const scrape = Effect.promise(() => fetch(`${url}/metrics`).then((response) => response.text()))
        const until = (what: (text: string) => boolean, why: string) =>
          Effect.flatMap(scrape, (text) => what(text) ? Effect.succeed(text) : Effect.fail(text)).pipe(
            Effect.retry(Schedule.spaced("50 millis")),
            Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.die(new Error(`never seen: ${why}`)) }),
          )
        let stop = false
        // The clients go on until each has had several answers, at any speed of the machine.
        let answers = 0
        const one = () => post(`${url}/api/chat`, chat).finally(() => answers++)
        const load = yield* Effect.forkChild(
          Effect.promise(() => loops(20, 20_000, () => stop && answers >= 60, one)),
          { startImmediately: true },
        )
        // The model is loaded on whichever backend was healthy first.
        const hostOf = ({ url }: { readonly url: string }) => new URL(url).host
        const isBusy = (text: string) => (one: { readonly url: string }) =>
          metric(text, "llamero_streams", `backend="${hostOf(one)}"`) >= 6
        const busy = yield* until((text) => backends.some(isBusy(text)), "six streams on a backend")
        const victim = backends.find(isBusy(busy))!
        const id = hostOf(victim)
        const here = [`backend="${id}"`]
        victim.child.kill("SIGKILL")
        yield* until((text) => metric(text, "llamero_breaker_transitions_total", ...here, `to="open"`) >= 1, "open")
        yield* Effect.sleep("500 millis")

        yield* start([...runtimes.node, "test/support/backend.ts", new URL(victim.url).port, options])
        const closed = yield* until(
          (text) => metric(text, "llamero_breaker_transitions_total", ...here, `to="closed"`) >= 1,
          "closed again",
        )
        assert.isAtLeast(metric(closed, "llamero_breaker_transitions_total", ...here, `to="half-open"`), 1)
        yield* until((text) => metric(text, "llamero_streams", `backend="${id}"`) >= 1, "work on the victim again")
        stop = true
        const ended = yield* Fiber.join(load)

        for (const one of ended) {
          if (one.status === 200 && one.whole) continue
          // Only a stream that had begun when its backend died may fail, and its last record then says so.
          assert.isAbove(one.bytes, 0, JSON.stringify(one))
          assert.isTrue(one.errorRecord, JSON.stringify(one))
        }
        const broken = ended.filter((one) => one.errorRecord).length
        assert.isAtMost(broken, 8)

        const idle = yield* until((text) => metric(text, "llamero_active_requests") === 0, "idle")
        assert.strictEqual(metric(idle, "llamero_leases"), 0)
      })),
    60_000,
  )
})
