/** Models and demands for tests, with everything that does not matter filled in. */
import type { Model } from "../../src/services/ModelCatalog.ts"
import type { Demand } from "../../src/services/RoutedRequest.ts"

export const modelOn = (key: string, ...backends: ReadonlyArray<string>): Model => ({
  key,
  owners: new Map(backends.map((id) => [id, { digest: "d".repeat(64), size: 1_000_000 }])),
  capabilities: ["completion"],
  remote: false,
})

export const demandFor = (model: Model, options?: Partial<Demand>): Demand => ({
  id: "r1",
  kind: "chat",
  model,
  numCtx: undefined,
  promptTokens: 10,
  bytes: 100,
  tenant: "default",
  priority: "default",
  since: 0,
  queueMillis: undefined,
  excluded: [],
  loads: true,
  ...options,
})
