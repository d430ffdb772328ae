import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse, HttpRouter } from "effect/http"
import * as HttpGpuProbe from "../../../src/layers/gpu/HttpGpuProbe.ts"
import * as GpuAgentRoutes from "../../../src/layers/routes/GpuAgentRoutes.ts"
import { DriverMismatch, GpuProbe, GpuReading } from "../../../src/services/GpuProbe.ts"
import { contract, plausible } from "../../../src/testing/contracts/GpuProbe.ts"
import * as MockGpuProbe from "../../../src/testing/mocks/MockGpuProbe.ts"
import { holds } from "../../support/checks.ts"

const token = Redacted.make("a secret")
const card = MockGpuProbe.device("GPU-1", ByteSize.gibibytes(24))

/** An HTTP client with an agent behind it, without a network. */
const clientOf = (answer: (request: Request) => Promise<Response>) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) =>
      Effect.map(
        Effect.tryPromise({
          try: () => answer(new Request(url, { headers: request.headers })),
          catch: (cause) =>
            new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }),
        }),
        (response) => HttpClientResponse.fromWeb(request, response),
      )
    ),
  )

const agent = (step: MockGpuProbe.Step) => {
  const routes = GpuAgentRoutes.layer({ token }).pipe(Layer.provide(MockGpuProbe.layer(step)))
  const { handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
  return (request: Request) => handler(request)
}

const probe = (answer: (request: Request) => Promise<Response>, given = token) =>
  HttpGpuProbe.layer({ url: "http://gpu-host:11436", token: given, timeout: "300 millis" }).pipe(
    Layer.provide(clientOf(answer)),
  )

holds(
  "HttpGpuProbe is a GpuProbe",
  contract({
    working: probe(agent([card])),
    kind: "gpu",
    partial: probe(() =>
      Promise.resolve(
        new Response(
          `{"source":"x","passedOver":[],"devices":[${
            JSON.stringify(Schema.encodeSync(GpuReading)(card))
          },{"uuid":"GPU-2"}]}`,
        ),
      )
    ),
    failing: [probe(() => Promise.reject(new Error("refused"))), "Unreachable"],
    hanging: probe(() => new Promise(() => {})),
  }),
)

const read = Effect.flatMap(GpuProbe, (found) => found.read)

describe("HttpGpuProbe", () => {
  it.live("reads again when a connection breaks: the agent may have closed an old one", () => {
    const answer = agent([card])
    let calls = 0
    const flaky = (request: Request) => ++calls % 2 === 1 ? Promise.reject(new Error("reset")) : answer(request)
    return Effect.gen(function* () {
      assert.strictEqual((yield* read).devices.length, 1)
      assert.strictEqual(calls, 2)
    }).pipe(Effect.provide(probe(flaky)))
  })

  it.live("returns the readings of the other machine's probe, and names the agent", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read, { source: "agent gpu-host:11436, mock", passedOver: [], devices: [card] })
    }).pipe(Effect.provide(probe(agent([card])))))

  it.live("fails with the reason of the other machine's probe", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read)
      assert.strictEqual(error.source, "agent gpu-host:11436, mock")
      assert.deepStrictEqual(error.reason, new DriverMismatch({ description: "restart it" }))
    }).pipe(Effect.provide(probe(agent(new DriverMismatch({ description: "restart it" }))))))

  it.live("is refused with another token", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(read)).reason._tag, "PermissionDenied")
    }).pipe(Effect.provide(probe(agent([card]), Redacted.make("a guess")))))

  for (
    const body of ["", "<html>", "[]", `{"source":"x","devices":[{"uuid":"GPU-1","total":"much"}],"passedOver":[]}`]
  ) {
    it.live(`treats ${JSON.stringify(body)} as a failure`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(read)).reason._tag, "Failed")
      }).pipe(Effect.provide(probe(() => Promise.resolve(new Response(body))))))
  }
})

describe("HttpGpuProbe, with an answer of which a part is wrong", () => {
  const good = { uuid: "GPU-1", name: "a card", kind: "gpu", total: 2e9, free: 1e9 }
  const nothing = { used: null, utilisation: null, temperature: null, power: null, health: null, processes: null }
  const wrongs: ReadonlyArray<readonly [device: unknown, listed: boolean]> = [
    [{ ...good, ...nothing, uuid: "GPU-2", total: "much" }, true],
    [{ ...good, ...nothing, uuid: "GPU-2", kind: "tpu" }, true],
    [{ ...good, ...nothing, uuid: "GPU-2", total: -1 }, true],
    [{ ...good, ...nothing, uuid: "GPU-2", health: { _tag: "Fine" } }, true],
    [{ uuid: "GPU-2" }, true],
    [{ ...good, ...nothing, uuid: "" }, false],
    [{ ...good, ...nothing, uuid: 7 }, false],
    [null, false],
    ["GPU-2", false],
    [{ ...good, ...nothing, total: "twice" }, false],
  ]
  for (const [wrong, listed] of wrongs) {
    it.live(`keeps the other device beside ${JSON.stringify(wrong)}`, () => {
      const body = { source: "x", passedOver: [], devices: [{ ...good, ...nothing }, wrong] }
      return Effect.gen(function* () {
        const found = yield* read
        plausible(found)
        const [first, second] = found.devices
        assert.deepInclude(first, { uuid: "GPU-1", free: Option.some(ByteSize.bytes(1e9)), health: Option.none() })
        // Agents from before the compute capability do not send it.
        assert.deepStrictEqual(first?.computeCapability, Option.none())
        assert.lengthOf(found.devices, listed ? 2 : 1)
        if (!listed) return
        assert.strictEqual(second?.uuid, "GPU-2")
        assert.deepStrictEqual(Option.map(second!.health, ({ _tag }) => _tag), Option.some("Unhealthy"))
        assert.isTrue(Option.isNone(second!.free))
      }).pipe(Effect.provide(probe(() => Promise.resolve(new Response(JSON.stringify(body))))))
    })
  }
})

describe("GpuAgentRoutes", () => {
  it("needs a token", () => {
    assert.throws(() => GpuAgentRoutes.layer({ token: Redacted.make("") }), RangeError)
  })

  it.live("shows nothing without the token", () =>
    Effect.gen(function* () {
      for (
        const headers of [{}, { authorization: "Bearer" }, { authorization: "Bearer a secre" }, {
          authorization: "a secret",
        }]
      ) {
        const response = yield* Effect.promise(() => agent([card])(new Request("http://x/gpus", { headers })))
        assert.strictEqual(response.status, 401)
        assert.notInclude(yield* Effect.promise(() => response.text()), "GPU-1")
      }
    }))

  it.live("sends bytes as numbers and unknown as null", () =>
    Effect.gen(function* () {
      const headers = { authorization: "Bearer a secret" }
      const response = yield* Effect.promise(() => agent([card])(new Request("http://x/gpus", { headers })))
      const body = (yield* Effect.promise(() => response.json())) as { readonly devices: ReadonlyArray<object> }
      assert.deepInclude(body.devices[0], {
        total: 25769803776,
        free: 12884901888,
        power: null,
        health: { _tag: "Healthy" },
      })
    }))
})
