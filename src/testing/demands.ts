/**
 * Models and demands, with defaults for what a test does not care about.
 *
 * @since 0.1.0
 */
import type { Model } from "../services/ModelCatalog.ts"
import type { Demand } from "../services/RoutedRequest.ts"

/** A chat model of 1 MB that these backends have on disk. @category constructors @since 0.1.0 */
export const modelOn = (key: string, ...backends: ReadonlyArray<string>): Model => ({
  key,
  owners: new Map(backends.map((id) => [id, { digest: "d".repeat(64), size: 1_000_000 }])),
  capabilities: ["completion"],
  remote: false,
})

/** A chat of 10 tokens and 100 bytes that arrived at 0, of the tenant `default`. @category constructors @since 0.1.0 */
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
