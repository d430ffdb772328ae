/** The guards that the settings turn on, the services that guards need, and the routes behind the same keys. */
import { ByteSize, Effect, type FileSystem, Layer, Redacted } from "effect"
import { RateLimiter } from "effect/persistence"
import * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import * as StaticApiKeys from "../../layers/keys/StaticApiKeys.ts"
import * as OllamaApp from "../../layers/OllamaApp.ts"
import * as KeyedRoutes from "../../layers/routes/KeyedRoutes.ts"
import type * as AdminRoutes from "../../layers/routes/AdminRoutes.ts"
import type { Fixed } from "../../layers/Settings.ts"
import * as AliasGuard from "../../plugins/guards/AliasGuard.ts"
import * as ApiKeyGuard from "../../plugins/guards/ApiKeyGuard.ts"
import * as ContextGuard from "../../plugins/guards/ContextGuard.ts"
import * as RateLimitGuard from "../../plugins/guards/RateLimitGuard.ts"
import * as SimulatedMark from "../../simulated/SimulatedMark.ts"
import { ApiKeys, type ApiKeysError } from "../../services/ApiKeys.ts"
import * as Live from "../../services/Live.ts"
import type { Guard } from "../../services/Plugin.ts"
import { hasNoAliases, isUnlimited, type Running } from "./live.ts"
import type { Placing } from "./placing.ts"

const localKey = (settings: Fixed) => settings.localKey === "" ? undefined : settings.localKey

/** A guard that requests pass unasked while it is off. */
const unless = <R>(off: Live.Live<boolean>, guard: Effect.Effect<Guard, never, R>): Effect.Effect<Guard, never, R> =>
  Effect.map(guard, (made) => ({ ...made, isOff: () => off.now }))

/** In the order in which they are asked: the key, the limits, the name of the model, the length of the prompt. */
export const guards = (fixed: Fixed, running: Running, simulated: boolean) => {
  const { settings } = running
  return [
    ...(simulated ? [SimulatedMark.guard] : []),
    ...(fixed.keysFile === "" ? [] : [ApiKeyGuard.make({ local: localKey(fixed) })]),
    unless(isUnlimited(fixed, running), RateLimitGuard.make(Live.map(settings, ({ rateLimit }) => rateLimit))),
    unless(hasNoAliases(running), AliasGuard.make(Live.map(settings, ({ aliases }) => aliases))),
    unless(Live.map(settings, ({ contextGuard }) => !contextGuard), ContextGuard.make()),
  ]
}

/** The keys that a reload has read last; the first ones are read here. */
const keysIn = (path: string, { keys }: Running): Layer.Layer<ApiKeys, ApiKeysError, FileSystem.FileSystem> =>
  Layer.effect(
    ApiKeys,
    Effect.map(FileApiKeys.read(path), (first) => {
      keys.set(first)
      return ApiKeys.of({
        find: (key) => keys.now.keys.find(key),
        named: (id) => keys.now.keys.named(id),
        size: () => keys.now.keys.size(),
      })
    }),
  )

/** The file system is loaded only with keys: some hosts have none. */
const keys = ({ keysFile }: Fixed, running: Running): Layer.Layer<ApiKeys, ApiKeysError> =>
  keysFile === "" ? StaticApiKeys.layer([]) : Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/NodeFileSystem")),
      (NodeFileSystem) => keysIn(keysFile, running).pipe(Layer.provide(NodeFileSystem.layer)),
    ),
  )

export const services = (
  settings: Fixed,
  running: Running,
  limits: Layer.Layer<RateLimiter.RateLimiterStore>,
): Layer.Layer<ApiKeys | RateLimiter.RateLimiter, ApiKeysError> =>
  Layer.merge(keys(settings, running), RateLimiter.layer.pipe(Layer.provide(limits)))

type Reload = AdminRoutes.Options["reload"]

/** The routes of operators. Their code is loaded only where there is a token. */
const admin = ({ adminToken }: Fixed, { decisions, log }: Placing, reload: Reload) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() =>
        Promise.all([
          import("../../layers/routes/AdminRoutes.ts"),
          import("../../layers/routes/AdminReferenceRoutes.ts"),
        ])
      ),
      ([AdminRoutes, AdminReferenceRoutes]) =>
        Layer.merge(
          AdminRoutes.layer({ token: Redacted.make(adminToken), decisions, log, reload }),
          AdminReferenceRoutes.layer,
        ),
    ),
  )

/** The status page; where there is no token, a page that says how to switch it on. */
const page = ({ adminToken }: Fixed) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("../../layers/routes/StatusPageRoutes.ts")),
      (StatusPageRoutes) => adminToken === "" ? StatusPageRoutes.layerOff : StatusPageRoutes.layer,
    ),
  )

/**
 * All routes besides inference; behind keys when there is a file of keys. `reload` is what `/admin/reload` reads again.
 */
export const app = (settings: Fixed, placing: Placing, simulated: boolean, reload?: Reload) => {
  const routes = Layer.mergeAll(
    simulated ? SimulatedMark.layer : Layer.empty,
    settings.adminToken === "" ? Layer.empty : admin(settings, placing, reload),
    page(settings),
    OllamaApp.layer({
      metrics: settings.metrics,
      tenants: Live.map(placing.running.settings, ({ tenantWeights }) => Object.keys(tenantWeights)),
      bodyLimit: ByteSize.bytes(settings.bodyLimit),
      requiredModels: settings.requiredModels,
      pulls: settings.pulls.length === 0 ? undefined : { allowed: settings.pulls },
    }),
  )
  return settings.keysFile === ""
    ? routes
    : Layer.merge(routes, KeyedRoutes.layer({ open: settings.keysOpen, local: localKey(settings) }))
}
