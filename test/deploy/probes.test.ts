/** Every path that manifests probe answers: of the router, and of Ollama. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { prints, runtimes, start } from "../support/processes.ts"
import { containersOf, type Resource, sources } from "./manifests.ts"

/** The paths that containers of an image are asked for. */
const pathsOf = (image: string): ReadonlySet<string> =>
  new Set(
    sources.flatMap(([, resource]) => containersOf(resource)).filter((container) => container.image === image)
      .flatMap(({ livenessProbe, readinessProbe, startupProbe }) => [livenessProbe, readinessProbe, startupProbe])
      .flatMap((probe: Resource) => probe?.httpGet?.path ?? []),
  )
const scraped = sources.filter(([, { kind }]) => kind === "ServiceMonitor")
  .flatMap(([, { spec }]) => spec.endpoints.map(({ path }: Resource) => path as string))

describe("what manifests ask for", () => {
  it.live("is answered by the router and by Ollama", () =>
    Effect.gen(function* () {
      const ollama = yield* SimulatedOllamaServer.make()
      const running = yield* start([...runtimes.node, "src/command/serve/server.ts"], {
        LLAMERO_BACKENDS: ollama.url,
        LLAMERO_PORT: "0",
        LLAMERO_LOG_LEVEL: "Warn",
      })
      const [, router = ""] = yield* prints(running, /istening on (http:\/\/[\d.]+:\d+)/)
      const answers = (url: string) => Effect.promise(() => fetch(url).then(({ ok }) => ok))
      // Ready is the router when it has seen its backend.
      yield* Effect.repeat(Effect.delay(answers(`${router}/readyz`), "20 millis"), { until: (ok) => ok })
      const ofRouter = pathsOf("llamero")
      assert.sameMembers([...ofRouter], ["/livez", "/readyz"])
      assert.deepStrictEqual(scraped, ["/metrics"])
      for (const path of [...ofRouter, ...scraped]) assert.isTrue(yield* answers(router + path), path)
      const ofOllama = pathsOf("ollama/ollama")
      assert.isNotEmpty([...ofOllama])
      for (const path of ofOllama) assert.isTrue(yield* answers(ollama.url + path), path)
      assert.isFalse(yield* answers(`${router}/healthy`))
    }), 60_000)
})
