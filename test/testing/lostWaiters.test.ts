/**
 * Implementations that never answer are caught in time by the exported contracts, which name what never got an
 * answer.
 */
import { describe } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import * as BoundedAdmission from "../../src/layers/admission/BoundedAdmission.ts"
import * as MemoryCoalescer from "../../src/layers/coalescing/MemoryCoalescer.ts"
import * as Standard from "../../src/layers/Standard.ts"
import { Admission } from "../../src/services/Admission.ts"
import { Coalescer } from "../../src/services/Coalescer.ts"
import { backend } from "../../src/services/Fleet.ts"
import { GpuProbe } from "../../src/services/GpuProbe.ts"
import type { Leases } from "../../src/services/Leases.ts"
import { ModelCatalog } from "../../src/services/ModelCatalog.ts"
import { OllamaApi } from "../../src/services/OllamaApi.ts"
import { Residency } from "../../src/services/Residency.ts"
import { Router } from "../../src/services/Router.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import {
  AdmissionContract,
  AdmissionQueuesContract,
  type Check,
  check,
  CoalescerContract,
  GpuProbeContract,
  ModelCatalogContract,
  OllamaApiContract,
  property,
  ResidencyContract,
  RouterContract,
  tracked,
  TransportContract,
  within,
} from "../../src/testing/index.ts"
import * as MockGpuProbe from "../../src/testing/mocks/MockGpuProbe.ts"
import * as MockModelCatalog from "../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../src/testing/mocks/MockResidency.ts"
import { caught } from "./caught.ts"

const deadline = Duration.seconds(2)
/** Caught by `by` within the deadline, with what never got an answer. */
const unanswered = (what: string, checks: ReadonlyArray<Check>, by: string, name: RegExp): void =>
  caught(what, within(deadline, checks), by, new RegExp(`never got an answer:(\\n .*)*\\n {2}${name.source}`))

/** A right admission that loses each request whose id matches. */
const losing = (ids: RegExp, right: Layer.Layer<Admission, unknown, Leases>) =>
  Layer.effect(
    Admission,
    Effect.map(Admission, (made) => ({
      ...made,
      admit: (demand, commit, use) => ids.test(demand.id) ? Effect.never : made.admit(demand, commit, use),
    })),
  ).pipe(Layer.provide(right))

const bounded = BoundedAdmission.layer({ queueCapacity: 4, queueMillis: 5000 })

describe("an admission that never answers", () => {
  unanswered(
    "any request",
    AdmissionContract.contract(losing(/./, bounded)),
    "lets through at once what has a lease, and gives it back once",
    /admit of a \(model m:latest, tenant default\)/,
  )
  unanswered(
    "one request of a history",
    AdmissionContract.contract(losing(/^r3$/, bounded)),
    "gives exactly one answer to each and leaks nothing, whatever the history",
    /admit of r3 \(model m:latest, tenant default\)/,
  )
  unanswered(
    "one request of a queue",
    AdmissionQueuesContract.contract((bounds) => losing(/^r2$/, BoundedAdmission.layer(bounds))),
    "tenants take turns",
    /admit of r2 \(model m:latest, tenant t\d\)/,
  )
  unanswered(
    "a request after its use",
    AdmissionQueuesContract.contract((bounds) =>
      Layer.effect(
        Admission,
        Effect.map(Admission, (made) => ({
          ...made,
          admit: (demand, commit, use) =>
            made.admit(demand, commit, (lease) => Effect.tap(use(lease), () => Effect.never)),
        })),
      ).pipe(Layer.provide(BoundedAdmission.layer(bounds)))
    ),
    "tenants take turns",
    /admit of r\d+ \(model m:latest, tenant t\d\)/,
  )
  unanswered(
    "a client that leaves",
    AdmissionContract.contract(
      Layer.effect(
        Admission,
        Effect.map(Admission, (made) => ({
          ...made,
          admit: (demand, commit, use) => Effect.uninterruptible(made.admit(demand, commit, use)),
        })),
      ).pipe(Layer.provide(bounded)),
    ),
    "gives the lease back as ignored when the use fails, dies or is interrupted",
    /admit of leaves \(model m:latest, tenant default\)/,
  )
})

const owners = ["a", "b"]
const listed = [{ name: "llama3.1:8b", owners }, { name: "big:cloud", owners: ["b"] }]
const models = MockModelCatalog.layer([...listed, { name: "embed", owners: ["a"], capabilities: ["embedding"] }])
const loaded = MockModelCatalog.layer([{ name: "m", owners }, { name: "n", owners }, { name: "r:cloud", owners }])
const servers = SimulatedFleet.layer({
  "http://sim:11434": { models: [SimulatedFleet.Model.tinyEos, SimulatedFleet.Model.tinyEmbed] },
})

describe("a layer that never answers", () => {
  unanswered(
    "a residency whose load never ends for its waiter",
    ResidencyContract.contract(
      Layer.merge(
        Layer.effect(
          Residency,
          Effect.map(Residency, (made) => ({
            ...made,
            load: (on, model, options) => Effect.andThen(made.load(on, model, options), Effect.never),
          })),
        ).pipe(Layer.provideMerge(MockResidency.layer())),
        loaded,
      ),
      { end: (model, failure) => Effect.map(MockResidency.MockLoads, ({ finish }) => finish("a", model, failure)) },
    ),
    "waits for a load; interrupting the wait does not stop it",
    /load of m:latest on a/,
  )
  unanswered(
    "a coalescer that never settles a follower",
    CoalescerContract.contract(
      Layer.effect(
        Coalescer,
        Effect.map(Coalescer, (made) => ({
          ...made,
          join: (request, demand, reply, lead) =>
            made.active() > 0 ? Effect.never : made.join(request, demand, reply, lead),
        })),
      ).pipe(Layer.provide(MemoryCoalescer.layer())),
    ),
    "deterministic: clients that ask at once each get the whole answer, and settle",
    /join of t\d+ \(model m:latest, tenant default\)/,
  )
  unanswered(
    "a transport that never ends an answer",
    TransportContract.contract({
      layer: Layer.succeed(Transport, {
        send: (_, __, to) => {
          to.open({ pause: () => {}, resume: () => {}, abort: () => {} })
          to.head(200, [])
        },
      }),
      behave: () =>
        Effect.succeed({
          backend: backend("http://a"),
          aborted: () => 0,
          received: () => new Uint8Array(),
          sent: () => 0,
        }),
    }),
    "gives records as they come",
    /the end of POST \/api\/chat to .* \(stream\)/,
  )
  unanswered(
    "a router that never settles one request",
    RouterContract.histories(
      Layer.effect(
        Router,
        Effect.map(Router, (made) => ({
          ...made,
          route: (request, reply) => request.id === "h1" ? Effect.never : made.route(request, reply),
        })),
      ).pipe(Layer.provideMerge(Standard.layer())),
      { maxShrinks: 0 },
    ),
    "every request has one answer, and nothing of it is left behind, whatever the history",
    /route of h1 \(\/\S+, model tiny-\w+, tenant default\)/,
  )
  unanswered(
    "a catalog whose find never answers",
    ModelCatalogContract.contract(
      Layer.effect(ModelCatalog, Effect.map(ModelCatalog, (made) => ({ ...made, find: () => Effect.never }))).pipe(
        Layer.provideMerge(models),
      ),
      { ready: Effect.void, drop: Effect.map(MockModelCatalog.MockModels, ({ set }) => set(listed)) },
    ),
    "tells a missing model",
    /find nothing/,
  )
  unanswered(
    "an API whose ps never answers",
    OllamaApiContract.contract(
      Layer.effect(OllamaApi, Effect.map(OllamaApi, (made) => ({ ...made, ps: () => Effect.never }))).pipe(
        Layer.provide(SimulatedOllamaApi.layer.pipe(Layer.provide(servers))),
      ),
    ),
    "loads completion models and embedders, and unloads them",
    /ps on sim/,
  )
  unanswered(
    "a probe whose read never answers",
    GpuProbeContract.contract({
      working: Layer.succeed(GpuProbe, { source: "broken", read: Effect.never }),
      kind: "gpu",
      failing: [MockGpuProbe.layer(), "Failed"],
    }),
    "shows a device, with memory that can be",
    /read of broken/,
  )
})

describe("a check of one's own", () => {
  const named = "waits"
  unanswered("that waits for ever", [check(named, () => tracked("the answer", Effect.never))], named, /the answer/)
  caught(
    "that waits for a layer which is never built",
    within(deadline, [
      check(named, () => Effect.provide(GpuProbe, Layer.effect(GpuProbe, Effect.never))),
    ]),
    named,
    /did not end within 2s.* the layer may never have been built/,
  )
  unanswered(
    "that waits in its third history",
    [property(named, {}, () => tracked(`answer ${++histories}`, histories === 3 ? Effect.never : Effect.void))],
    named,
    /answer 3/,
  )
  caught(
    "that is interrupted from inside",
    [check(named, () => Effect.interrupt)],
    named,
    /interrupted/,
  )
})
let histories = 0
