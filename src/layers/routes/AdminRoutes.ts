/**
 * Routes for operators, behind a token: the state of the router, what they can change, and why requests went where they
 * went.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, type Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type { Admission } from "../../services/Admission.ts"
import type { BackendHealth } from "../../services/BackendHealth.ts"
import type { Breaker } from "../../services/Breaker.ts"
import type { Decisions } from "../../services/Decisions.ts"
import type { Fleet } from "../../services/Fleet.ts"
import type { Leases } from "../../services/Leases.ts"
import * as Live from "../../services/Live.ts"
import type { LogControl } from "../../services/LogControl.ts"
import type { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Prewarmer } from "../../services/Prewarmer.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Router } from "../../services/Router.ts"
import type { RouterEvents } from "../../services/RouterEvents.ts"
import type { VramLedger } from "../../services/VramLedger.ts"
import { watch } from "../../support/every.ts"
import * as Access from "./admin/access.ts"
import * as Audits from "./admin/audit.ts"
import { Changes } from "./admin/changes.ts"
import { Feed } from "./admin/feed.ts"
import * as Groups from "./admin/groups.ts"
import * as Methods from "./admin/methods.ts"
import { OperatorPins } from "./admin/pins.ts"
import * as Reload from "./admin/reload.ts"
import * as States from "./admin/state.ts"
import { Traffic } from "./admin/traffic.ts"
import { api } from "./AdminApi.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** The token of operators. Their changes are recorded under `admin`. A `RangeError` when it is empty. */
  readonly token: Redacted.Redacted<string>
  /** More tokens, by the name under which their changes are recorded. Defaults to none. */
  readonly tokens?: Access.Tokens | undefined
  /** The requests that `/admin/decisions` shows: what `DecisionHistory.make` returns. Defaults to none. */
  readonly decisions?: Live.Input<Decisions | undefined>
  /** The log that `/admin/log` changes: see `LogControl`. Defaults to none. */
  readonly log?: LogControl | undefined
  /**
   * What `/admin/reload` reads again in place of the fleet and the keys: a program's own settings. It answers what it
   * has read; its error says what is wrong, and then nothing has changed. Defaults to the fleet and the keys.
   */
  readonly reload?: Reload.OwnReload | undefined
  /** Least time between two messages of `/admin/events`. Defaults to 500 milliseconds. */
  readonly interval?: Duration.Input | undefined
  /** Longest silence of `/admin/events`. Defaults to 15 seconds. */
  readonly heartbeat?: Duration.Input | undefined
  /** A reader of `/admin/events` that takes nothing for so long is dropped. Defaults to 30 seconds. */
  readonly stallTimeout?: Duration.Input | undefined
  /** Most readers of `/admin/events` at the same time. Defaults to `64`. */
  readonly readersMax?: number | undefined
}

/** The services that the routes use. `ApiKeys` is used where there is one. @category models @since 0.1.0 */
export type Needs =
  | Admission
  | BackendHealth
  | Breaker
  | Fleet
  | Leases
  | ModelCatalog
  | Prewarmer
  | Residency
  | Router
  | RouterEvents
  | VramLedger

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** What the groups of routes share. */
const shared = (options: Options) =>
  Effect.gen(function* () {
    const services = yield* States.services
    const { clock, events, residency, router } = services
    const pins = new OperatorPins(residency)
    yield* Effect.addFinalizer(() => Effect.sync(() => pins.release()))
    const traffic = new Traffic()
    const reading = States.make(services, pins, traffic)
    const feed = new Feed({
      clock,
      state: reading.state,
      draining: router.draining,
      intervalMillis: millisOf(options.interval ?? "500 millis"),
      heartbeatMillis: millisOf(options.heartbeat ?? "15 seconds"),
      stallMillis: millisOf(options.stallTimeout ?? "30 seconds"),
      readersMax: options.readersMax ?? 64,
    })
    const audit = Audits.make(events, clock)
    yield* events.subscribe((event) => {
      if (event._tag === "RequestSettled") return traffic.add(event)
      if (event._tag === "AdminChanged") audit.note(event)
      feed.add(event)
    })
    yield* Effect.forkScoped(watch(Duration.seconds(1), Effect.sync(() => feed.sweep())))
    return {
      audit,
      changes: new Changes(services, pins),
      decisions: Live.of(options.decisions),
      feed,
      log: options.log,
      reading,
      reload: yield* Reload.make(services, options.reload),
    }
  })

/**
 * The admin API, under `/admin`. `AdminApi` says what each path takes and answers; `/admin/openapi.json` says it to
 * programs, without the token.
 *
 * **Details**
 *
 * 401 without a token, or with a wrong one. 400, 404, 409 and 502 say in `error` what is wrong. Each change is recorded
 * as an `AdminChanged` event and in the log, with the name of the token and the address. `/admin/changes` lists the
 * last 500 of these events, whoever has published them.
 *
 * **Gotchas**
 *
 * Drains, isolations and pins are those of this process: they end with it, and other replicas do not have them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | Needs> => {
  const access = Access.access({ admin: options.token, ...options.tokens })
  const served = HttpApiBuilder.layer(api, { openapiPath: "/admin/openapi.json" })
  return Layer.unwrap(Effect.gen(function* () {
    const made = yield* shared(options)
    const http = Methods.strict(yield* HttpRouter.HttpRouter)
    return served.pipe(
      Layer.provide(Layer.succeed(HttpRouter.HttpRouter, http)),
      Layer.provide(Groups.groups(made)),
      Layer.provide([access, Access.readable, HttpServer.layerServices]),
    )
  }))
}
