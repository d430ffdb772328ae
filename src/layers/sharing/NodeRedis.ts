/**
 * A connection to Redis (or Valkey) that may be away: at the start, later, or for good.
 *
 * @since 0.1.0
 */
import { Context, Deferred, Effect, Layer, References, Scope } from "effect"
import { Redis } from "effect/persistence"

/** @category models @since 0.1.0 */
export interface Options {
  /** `redis://` or `rediss://`, with name, password and database where there are any: `redis://:secret@10.0.0.9:6379/0`. */
  readonly url: string
  /** Longest wait for a connection, in milliseconds. Defaults to `1000`. */
  readonly connectMillis?: number | undefined
  /** Longest pause between two tries to connect, in milliseconds. Defaults to `2000`. */
  readonly retryMillis?: number | undefined
}

const away = new Redis.RedisError({ cause: new Error("not connected to Redis yet") })

const make = Effect.fnUntraced(function* ({ connectMillis = 1000, retryMillis = 2000, url }: Options) {
  const scope = yield* Effect.scope
  const connected = yield* Deferred.make<Redis.Redis["Service"]>()
  let redis: Redis.Redis["Service"] | undefined

  const connect = Effect.gen(function* () {
    // The client takes 15 MiB, which nobody should pay who has no Redis.
    const Connection = yield* Effect.promise(() => import("@effect/platform-node/NodeRedis"))
    const connection = Connection.layer({
      url,
      // What could not be sent when it was meant would only do harm later.
      disableOfflineQueue: true,
      socket: { connectTimeout: connectMillis, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, retryMillis) },
    })
    // Each try that fails would be a warning; who needs Redis says so once.
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
  ): Effect.Effect<A, Redis.RedisError, R> => Effect.suspend(() => redis === undefined ? Effect.fail(away) : ask(redis))

  return Redis.Redis.of({
    send: (command, ...args) => use(({ send }) => send(command, ...args)),
    eval: (script) => (...params) => use((redis) => redis.eval(script)(...params)),
    reserve: use(({ reserve }) => reserve),
    subscribe: (channel) => Effect.flatMap(Deferred.await(connected), ({ subscribe }) => subscribe(channel)),
  })
})

/**
 * Redis for whatever replicas share: breakers, rate limits.
 *
 * **Details**
 *
 * The layer is built at once, connects in the background, and connects again for ever. While there is no connection commands fail, and are not kept for
 * later; a subscription waits. Made for several users: build it once and provide it to all of them.
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
