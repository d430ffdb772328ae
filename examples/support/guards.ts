/** The guards that the settings ask for, what they need, and the routes behind the same keys. */
import { Effect, Layer } from "effect"
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
import type { ApiKeys, ApiKeysError } from "../../src/services/ApiKeys.ts"

const isEmpty = (values: object): boolean => Object.keys(values).length === 0

/** In the order in which they are asked: who it is, whether it may, what it means, whether it fits. What is not set is not there, and costs nothing. */
export const guards = (settings: Settings) => [
  ...(settings.keysFile === "" ? [] : [ApiKeyGuard.make()]),
  // Keys may have limits where nothing else has.
  ...(settings.keysFile === "" && isEmpty(settings.rateLimit) ? [] : [RateLimitGuard.make(settings.rateLimit)]),
  ...(isEmpty(settings.aliases) ? [] : [AliasGuard.make(settings.aliases)]),
  ...(settings.contextGuard ? [ContextGuard.make()] : []),
]

/** Only who has keys needs a file system. */
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

/** Everything besides inference, behind keys where there are any. */
export const app = (settings: Settings, routes: ReturnType<typeof OllamaApp.layer>) =>
  settings.keysFile === "" ? routes : Layer.merge(routes, KeyedRoutes.layer({ open: settings.keysOpen }))
