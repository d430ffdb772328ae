/** A full queue: the answer to clients of each dialect, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { post } from "../support/load.ts"
import { prints, runtimes, start } from "../support/processes.ts"

const messages = [{ role: "user", content: "hi" }]

interface Refused {
  /** An object in OpenAI's and Anthropic's shapes, text in Ollama's. */
  readonly error: string | { readonly message: string }
}
const inside = ({ error }: Refused) => typeof error === "object" ? error.message : undefined
const plain = ({ error }: Refused) => error

const calls: ReadonlyArray<readonly [string, object, (body: Refused) => unknown]> = [
  ["/api/chat", { model: "tiny-eos", messages }, plain],
  ["/api/generate", { model: "tiny-eos", prompt: "x" }, plain],
  ["/v1/chat/completions", { model: "tiny-eos", messages }, inside],
  ["/v1/messages", { model: "tiny-eos", max_tokens: 5, messages }, inside],
  ["/v1/responses", { model: "tiny-eos", input: "x" }, inside],
  ["/api/v1/generate", { model: "tiny-eos", prompt: "x" }, plain],
]

describe("overload", () => {
  it.live(
    "sheds with 503 and Retry-After in each dialect, counts it, and lets no client hang",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const { url: backend } = yield* SimulatedOllamaServer.make({ decodeRate: 20 })
        const router = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
          LLAMERO_BACKENDS: backend,
          LLAMERO_PORT: "0",
          LLAMERO_QUEUE_CAPACITY: "2",
          LLAMERO_PREWARM: "tiny-eos,tiny-loop",
          LLAMERO_LOG_LEVEL: "Warn",
        })
        const [, url = ""] = yield* prints(router, /istening on (http:\/\/[\d.]+:\d+)/)
        yield* Effect.promise(() => fetch(`${url}/readyz`))
        const leave = new AbortController()
        // One runs without end; two wait.
        const body = { model: "tiny-eos", messages, options: { num_predict: 40 } }
        const first = post(`${url}/api/chat`, body)
        const metrics = () => fetch(`${url}/metrics`).then((response) => response.text())
        yield* Effect.promise(async () => {
          while (!(await metrics()).includes("\nllamero_leases 1")) await new Promise((done) => setTimeout(done, 20))
        })
        const waiting = [post(`${url}/api/chat`, body), post(`${url}/api/chat`, body, leave.signal)]
        yield* Effect.promise(async () => {
          while (!(await metrics()).includes(`llamero_queue_depth{model="tiny-eos:latest"} 2`)) {
            await new Promise((done) => setTimeout(done, 20))
          }
        })

        for (const [path, request, message] of calls) {
          const refused = yield* Effect.promise(() => post(url + path, request))
          assert.strictEqual(refused.status, 503, path)
          assert.match(refused.retryAfter ?? "", /^[1-9]\d*$/, path)
          assert.match(String(message(JSON.parse(refused.text))), /queue .* full/, path)
        }
        const told = yield* Effect.promise(metrics)
        assert.match(told, new RegExp(`llamero_sheds_total\\{[^}]*model="tiny-eos:latest"[^}]*\\} ${calls.length}`))

        leave.abort()
        const [one, two, three] = yield* Effect.promise(() => Promise.all([first, ...waiting]))
        assert.isTrue(one!.whole)
        assert.isTrue(two!.whole)
        assert.match(three!.thrown ?? "", /abort/i)
        const after = yield* Effect.promise(metrics)
        assert.notInclude(after, `llamero_queue_depth{model="tiny-eos:latest"} 2`)
        assert.include(after, "\nllamero_leases 0")
      })),
    30_000,
  )
})
