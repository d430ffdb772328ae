/** The guards that the settings turn on, the services that guards need, and the routes behind the same keys. */
import { ByteSize, Effect, Layer, Redacted } from "effect"
import { RateLimiter } from "effect/persistence"
import * as FileApiKeys from "../../src/layers/keys/FileApiKeys.ts"
import * as StaticApiKeys from "../../src/layers/keys/StaticApiKeys.ts"
import * as OllamaApp from "../../src/layers/OllamaApp.ts"
import * as KeyedRoutes from "../../src/layers/routes/KeyedRoutes.ts"
import type { Settings } from "../../src/layers/Settings.ts"
import * as AliasGuard from "../../src/plugins/guards/AliasGuard.ts"
import * as ApiKeyGuard from "../../src/plugins/guards/ApiKeyGuard.ts"
import * as ContextGuard from "../../src/plugins/guards/ContextGuard.ts"
import * as RateLimitGuard from "../../src/plugins/guards/RateLimitGuard.ts"
import * as SimulatedMark from "../../src/simulated/SimulatedMark.ts"
import type { ApiKeys, ApiKeysError } from "../../src/services/ApiKeys.ts"
import type { Placing } from "./placing.ts"

const localKey = (settings: Settings) => settings.localKey === "" ? undefined : settings.localKey

const isEmpty = (values: object): boolean => Object.keys(values).length === 0

/**
 * In the order in which they are asked: the key, the limits, the name of the model, the length of the prompt. A guard
 * that is not set is left out, and costs nothing.
 */
export const guards = (settings: Settings, simulated: boolean) => [
  ...(simulated ? [SimulatedMark.guard] : []),
  ...(settings.keysFile === "" ? [] : [ApiKeyGuard.make({ local: localKey(settings) })]),
  // With keys it is always there, since keys may have limits of their own.
  ...(settings.keysFile === "" && isEmpty(settings.rateLimit) ? [] : [RateLimitGuard.make(settings.rateLimit)]),
  ...(isEmpty(settings.aliases) ? [] : [AliasGuard.make(settings.aliases)]),
  ...(settings.contextGuard ? [ContextGuard.make()] : []),
]

/** The file system is loaded only with keys: some hosts have none. */
const keys = ({ keysFile }: Settings): Layer.Layer<ApiKeys, ApiKeysError> =>
  keysFile === "" ? StaticApiKeys.layer([]) : Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/NodeFileSystem")),
      (NodeFileSystem) => FileApiKeys.layer(keysFile).pipe(Layer.provide(NodeFileSystem.layer)),
    ),
  )

export const services = (
  settings: Settings,
  limits: Layer.Layer<RateLimiter.RateLimiterStore>,
): Layer.Layer<ApiKeys | RateLimiter.RateLimiter, ApiKeysError> =>
  Layer.merge(keys(settings), RateLimiter.layer.pipe(Layer.provide(limits)))

/** The routes of operators. Their code is loaded only where there is a token. */
const admin = ({ adminToken }: Settings, { decisions, log }: Placing, simulated: boolean) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() =>
        Promise.all([
          import("../../src/layers/routes/AdminRoutes.ts"),
          import("../../src/layers/routes/AdminReferenceRoutes.ts"),
        ])
      ),
      ([AdminRoutes, AdminReferenceRoutes]) =>
        Layer.merge(
          AdminRoutes.layer({ token: Redacted.make(adminToken), decisions, log, simulated }),
          AdminReferenceRoutes.layer,
        ),
    ),
  )

/** The status page; where there is no token, a page that says how to switch it on. */
const page = ({ adminToken }: Settings) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("../../src/layers/routes/StatusPageRoutes.ts")),
      (StatusPageRoutes) => adminToken === "" ? StatusPageRoutes.layerOff : StatusPageRoutes.layer,
    ),
  )

/** All routes besides inference; behind keys when there is a file of keys. */
export const app = (settings: Settings, placing: Placing, simulated: boolean) => {
  const routes = Layer.mergeAll(
    simulated ? SimulatedMark.layer : Layer.empty,
    settings.adminToken === "" ? Layer.empty : admin(settings, placing, simulated),
    page(settings),
    OllamaApp.layer({
      tenants: Object.keys(settings.tenantWeights),
      bodyLimit: ByteSize.bytes(settings.bodyLimit),
      requiredModels: settings.requiredModels,
      pulls: settings.pulls.length === 0 ? undefined : { allowed: settings.pulls },
    }),
  )
  return settings.keysFile === ""
    ? routes
    : Layer.merge(routes, KeyedRoutes.layer({ open: settings.keysOpen, local: localKey(settings) }))
}
