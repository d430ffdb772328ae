/**
 * A connection to Redis (or Valkey) that may be missing: at the start, later, or always.
 *
 * @since 0.1.0
 */
import { Context, Deferred, Effect, Layer, References, Scope } from "effect"
import { Redis } from "effect/persistence"

/** @category models @since 0.1.0 */
export interface Options {
  /** `redis://` or `rediss://`, with user, password and database if needed: `redis://:secret@10.0.0.9:6379/0`. */
  readonly url: string
  /** Time limit of one attempt to connect, in milliseconds. Defaults to `1000`. */
  readonly connectMillis?: number | undefined
  /** Longest pause between two attempts to connect, in milliseconds. Defaults to `2000`. */
  readonly retryMillis?: number | undefined
}

const notConnected = new Redis.RedisError({ cause: new Error("not connected to Redis yet") })

const make = Effect.fnUntraced(function* ({ connectMillis = 1000, retryMillis = 2000, url }: Options) {
  const scope = yield* Effect.scope
  const connected = yield* Deferred.make<Redis.Redis["Service"]>()
  let redis: Redis.Redis["Service"] | undefined

  const connect = Effect.gen(function* () {
    // Imported only here: the client takes 15 MiB of memory, which a router without Redis should not use.
    const Connection = yield* Effect.promise(() => import("@effect/platform-node/NodeRedis"))
    const connection = Connection.layer({
      url,
      // A command that could not be sent in time must not be sent later.
      disableOfflineQueue: true,
      socket: { connectTimeout: connectMillis, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, retryMillis) },
    })
    // Otherwise each failed attempt is a warning. The layers that use Redis log an outage once.
    const services = yield* Effect.provideService(
      Layer.buildWithScope(connection, scope),
      References.MinimumLogLevel,
      "Error",
    )
    const { client } = Context.get(services, Connection.NodeRedis)
    yield* Scope.addFinalizer(scope, Effect.sync(() => client.destroy()))
    redis = Context.get(services, Redis.Redis)
    yield* Deferred.succeed(connected, redis)
  })
  yield* Effect.forkScoped(connect)

  const use = <A, R>(
    ask: (redis: Redis.Redis["Service"]) => Effect.Effect<A, Redis.RedisError, R>,
  ): Effect.Effect<A, Redis.RedisError, R> =>
    Effect.suspend(() => redis === undefined ? Effect.fail(notConnected) : ask(redis))

  return Redis.Redis.of({
    send: (command, ...args) => use(({ send }) => send(command, ...args)),
    eval: (script) => (...params) => use((redis) => redis.eval(script)(...params)),
    reserve: use(({ reserve }) => reserve),
    subscribe: (channel) => Effect.flatMap(Deferred.await(connected), ({ subscribe }) => subscribe(channel)),
  })
})

/**
 * Redis for what replicas share: breakers and rate limits.
 *
 * **Details**
 *
 * The layer is built at once. It connects in the background, and again whenever the connection is lost. Without a
 * connection commands fail and are not kept for later, and a subscription waits. Build it once and provide it to all
 * layers that need it.
 *
 * Effect's own `NodeRedis` layer, which this one uses, is built only when the connection is there. Without Redis the
 * router would not start.
 *
 * **Example** (Breakers shared by replicas)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as LocalBreaker from "../breaker/LocalBreaker.ts"
 * import * as NodeRedis from "./NodeRedis.ts"
 * import * as Standard from "../Standard.ts"
 *
 * const redis = NodeRedis.layer({ url: "redis://10.0.0.9:6379" })
 * export const stack = Standard.layer({ breaker: LocalBreaker.layerRedis().pipe(Layer.provide(redis)) })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Redis.Redis> => Layer.effect(Redis.Redis, make(options))
