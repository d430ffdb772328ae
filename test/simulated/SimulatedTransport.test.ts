import { Effect, Layer } from "effect"
import { backend } from "../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import * as Contract from "../../src/testing/contracts/Transport.ts"
import { holds } from "../support/checks.ts"

const { Fault, SimulatedFleet: Fleet } = SimulatedFleet
const url = "http://127.0.0.1:11434"

const faults = {
  whole: undefined,
  stream: undefined,
  flood: undefined,
  hang: Fault.hang,
  cut: Fault.reset(3),
  reset: Fault.reset(),
  refuse: Fault.refuse,
}

const encoder = new TextEncoder()
const bodies = (behaviour: Contract.Behaviour) =>
  encoder.encode(JSON.stringify({
    model: "tiny-eos",
    messages: [{ role: "user", content: "hi" }],
    stream: behaviour !== "whole",
  }))

holds(
  "SimulatedTransport is a Transport",
  Contract.contract({
    layer: SimulatedTransport.layer.pipe(
      Layer.provideMerge(SimulatedFleet.layer({ [url]: { decodeRate: 1000, callsMax: 10 } })),
    ),
    // It has no connection whose bytes it could count.
    without: ["flood"],
    body: bodies,
    behave: (behaviour) =>
      Effect.map(Fleet, ({ get }) => {
        const server = get(url)
        const fault = faults[behaviour]
        if (fault !== undefined) server.script(fault, { path: "/api/chat", times: 1 })
        return {
          backend: backend(url),
          aborted: () => server.calls.filter(({ state }) => state === "aborted").length,
          received: () => server.calls.at(-1)?.body ?? new Uint8Array(0),
          sent: () => 0,
        }
      }),
  }),
)
