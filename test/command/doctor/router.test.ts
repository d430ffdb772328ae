/** The doctor asks a real router, over its admin API. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { observeRouter } from "../../../src/command/doctor/observe/router.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import { serve, token } from "../../support/statusFleet.ts"
import { idsOf } from "./running.ts"

const ask = (url: string, secret: string) =>
  Effect.provide(observeRouter(url, secret, Duration.seconds(10)), NodeTransport.layer())

it.live("a router tells its backends, what it has learned, and what its plans wait for", () =>
  Effect.scoped(Effect.gen(function* () {
    const { url } = yield* serve({ env: { LLAMERO_PREWARM: "llama3.1:8b,nobody-has-it" } })
    // Plans are looked at a moment after the start.
    const seen = yield* ask(url, token).pipe(
      Effect.repeat({
        until: ({ state }) => state?.prewarm.length === 2 && state.backends.some(({ models }) => models.length > 0),
      }),
      Effect.timeout("20 seconds"),
    )
    assert.strictEqual(seen.url, url)
    assert.deepStrictEqual(seen.state?.backends.map(({ id }) => id), ["node-001", "node-002", "node-003"])
    const loaded = seen.state?.backends.flatMap(({ models }) => models) ?? []
    assert.deepStrictEqual(loaded.map(({ model }) => model), ["llama3.1:8b"])
    assert.isAtLeast(loaded[0]!.streams_max, 1)
    assert.sameMembers(seen.state?.prewarm.map(({ model }) => model) ?? [], ["llama3.1:8b", "nobody-has-it:latest"])
    const { answer, state } = yield* ask(url, "wrong")
    assert.isUndefined(state)
    assert.strictEqual(answer._tag === "Answered" ? answer.status : 0, 401)
    // A fleet file that is not there: the router is then the only one that is asked.
    const env = { LLAMERO_FLEET_FILE: "/no/fleet.json", LLAMERO_ADMIN_TOKEN: token }
    assert.deepStrictEqual(yield* idsOf(["--url", url], { env }), ["fleet-unreadable"])
    assert.deepStrictEqual(yield* idsOf(["--url", url, "--token", "wrong"], { env }), [
      "fleet-unreadable",
      "router-token",
    ])
  })))
