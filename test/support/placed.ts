/** Decisions and placements for tests, with the fields that a test names. */
import type { Decision, Step } from "../../src/services/Decisions.ts"
import { backend } from "../../src/services/Fleet.ts"
import type { Placed, PlacedCandidate } from "../../src/services/Placed.ts"
import type { RequestSettled } from "../../src/services/RouterEvents.ts"
import { demandFor } from "../../src/testing/demands.ts"

export const model = {
  key: "m:latest",
  owners: new Map(["a", "b", "c"].map((id) => [id, { digest: "d", size: 1 }])),
  capabilities: ["completion"],
  remote: false,
}

export const candidate = (id: string, fields: Partial<PlacedCandidate> = {}): PlacedCandidate => ({
  backend: backend({ url: `http://${id}`, id }),
  member: "active",
  health: "healthy",
  version: "0.33.0",
  streams: 0,
  streamsOfModel: 0,
  limitOfModel: 1,
  serviceMillis: undefined,
  firstByteMillis: undefined,
  residency: "resident",
  breaker: "closed",
  loadMillis: 1000,
  memory: undefined,
  lastLeaseAt: 0,
  serves: true,
  loadFailure: undefined,
  droppedBy: undefined,
  scores: { resident: 1 },
  total: 1,
  ...fields,
})

export const placed = (fields: Partial<Placed> = {}): Placed => ({
  _tag: "Placed",
  at: 0,
  id: "r",
  attempt: 1,
  answer: "lease",
  took: "a",
  refusal: undefined,
  waiting: 1,
  demand: demandFor(model, { id: "r" }),
  candidates: [candidate("a")],
  others: 0,
  without: 0,
  ...fields,
})

type Fields = Partial<Omit<RequestSettled, "settled">> & { readonly settled?: Partial<RequestSettled["settled"]> }

export const decision = ({ settled, ...fields }: Fields = {}, steps: ReadonlyArray<Step> = [placed()]): Decision => ({
  settled: {
    _tag: "RequestSettled",
    at: 1500,
    id: "r",
    route: "/api/chat",
    kind: "chat",
    model: "m:latest",
    known: true,
    tenant: "default",
    totalMillis: 1250,
    bytesIn: 10,
    bytesOut: 20,
    ...fields,
    settled: {
      result: "answered",
      status: 200,
      refusal: undefined,
      outcome: { kind: "success", cause: "ok", firstByteMillis: 250 },
      backend: "a",
      attempts: 1,
      queuedMillis: 0,
      ...settled,
    },
  },
  steps,
})
