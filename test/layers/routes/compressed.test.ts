/** Small calls and pulls over a backend that compresses, although nothing asked it to. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { gzipSync } from "node:zlib"
import { Pull, send } from "../../../src/layers/routes/ModelPull.ts"
import { collect } from "../../../src/layers/routes/smallCall.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { header } from "../../../src/services/RoutedRequest.ts"
import { type ByteSink, Transport, TransportError } from "../../../src/services/Transport.ts"
import { Model } from "../../../src/simulated/SimulatedFleet.ts"
import { layer, url } from "../../simulated/support.ts"

const limit = Duration.seconds(10)
const tags = { method: "GET", path: "/api/tags", headers: [], body: undefined }
const pullable = [Model.model({ name: "new:1b", size: 1000 })]

it.live("a list is decoded", () =>
  Effect.gen(function* () {
    const { body, rawHeaders, status } = yield* collect(yield* Transport, backend(url), tags, limit)
    assert.strictEqual(status, 200)
    assert.isUndefined(header(rawHeaders, "content-encoding"))
    assert.isAbove(JSON.parse(new TextDecoder().decode(body)).models.length, 0)
  }).pipe(Effect.provide(layer({ encoding: "gzip" }))))

it.live("a pull is decoded as it comes", () =>
  Effect.gen(function* () {
    const pull = new Pull(backend(url))
    yield* send(yield* Transport, pull, "new:1b", limit)
    assert.isAbove(pull.steps().length, 1)
  }).pipe(Effect.provide(layer({ encoding: "gzip", models: [], pullable }))))

it.live("records of a pull may end in CR, LF or CRLF", () =>
  Effect.forEach(["\n", "\r\n", "\r"] as const, (lineEnd) =>
    Effect.gen(function* () {
      const pull = new Pull(backend(url))
      yield* send(yield* Transport, pull, "new:1b", limit)
      assert.isAbove(pull.steps().length, 1)
    }).pipe(Effect.provide(layer({ models: [], pullable, spelling: { lineEnd, blanks: true } })))))

/** A transport whose answer is played by `answer`. */
const played = (answer: (to: ByteSink) => void) => {
  const seen = { aborted: false }
  const transport = Layer.succeed(Transport, {
    send: (_, _1, to) => {
      to.open({ pause: () => {}, resume: () => {}, abort: () => void (seen.aborted = true) })
      to.head(200, ["Content-Encoding", "gzip", "Content-Length", "9"])
      answer(to)
    },
  })
  return { seen, transport }
}

it.live("what decodes to too much, is broken off, or is not what it says ends in an error, and the call is aborted", () =>
  Effect.gen(function* () {
    const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024))
    const reset = new TransportError({ reason: "Reset", backend: "a", description: "reset by peer" })
    for (
      const [answer, description, aborts] of [
        [(to: ByteSink) => to.data(bomb), /above/, true],
        [(to: ByteSink) => to.data(new TextEncoder().encode("plain text")), /cannot be decoded/, true],
        [(to: ByteSink) => (to.data(bomb.subarray(0, 100)), to.end()), /unexpected end/, true],
        [(to: ByteSink) => (to.data(bomb.subarray(0, 100)), to.fail(reset)), /reset by peer/, false],
      ] as const
    ) {
      const { seen, transport } = played(answer)
      const call = Effect.flatMap(Transport, (made) => collect(made, backend(url), tags, limit))
      const error = yield* Effect.flip(Effect.provide(call, transport))
      assert.match(error.description, description)
      if (aborts) assert.isTrue(seen.aborted)
    }
  }))
