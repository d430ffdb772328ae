/**
 * The handlers of the admin API.
 *
 * @since 0.1.0
 */
import { Effect, Layer, type LogLevel, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type { Decisions } from "../../../services/Decisions.ts"
import type { MemberState } from "../../../services/Fleet.ts"
import type { Live } from "../../../services/Live.ts"
import type { LogControl } from "../../../services/LogControl.ts"
import type { AdminAction } from "../../../services/RouterEvents.ts"
import { api } from "../AdminApi.ts"
import { why } from "../DecisionWords.ts"
import * as Respond from "../respond.ts"
import type { Audit } from "./audit.ts"
import * as Audits from "./audit.ts"
import type { Changes } from "./changes.ts"
import * as Shown from "./decisions.ts"
import { NotNow, TooMany } from "./errors.ts"
import type { Feed } from "./feed.ts"
import type { Reload } from "./reload.ts"
import type { Reading } from "./state.ts"

/** What the handlers share. @category models @since 0.1.0 */
export interface Shared {
  readonly audit: Audit
  readonly changes: Changes
  readonly decisions: Live<Decisions | undefined>
  readonly feed: Feed
  readonly log: LogControl | undefined
  readonly reading: Reading
  readonly reload: Reload
}

/** Closes the connection of a client that does not read, where the platform lets it. */
const closer = ({ source }: HttpServerRequest.HttpServerRequest) => (): void => {
  if ("destroy" in source && typeof source.destroy === "function") source.destroy()
}

const encoder = new TextEncoder()

const events = (feed: Feed) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const text = feed.follow(closer(request))
    if (text === undefined) return Effect.fail(new TooMany({ error: "too many clients follow the events" }))
    return Effect.succeed(HttpServerResponse.stream(Stream.map(text, (one) => encoder.encode(one)), {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no" },
    }))
  })

const stateGroup = ({ audit, changes, feed, reading }: Shared) =>
  HttpApiBuilder.group(api, "state", (handlers) =>
    handlers.handleAll({
      state: () => Effect.sync(reading.state),
      backends: () => Effect.sync(() => ({ backends: reading.backends() })),
      backend: ({ params: { id } }) => Effect.map(changes.member(id), () => reading.backend(id)!),
      devices: () => Effect.sync(() => ({ devices: reading.devices() })),
      models: () => Effect.sync(() => ({ models: reading.models() })),
      queues: () => Effect.sync(() => ({ queues: reading.queues() })),
      breakers: () => Effect.sync(() => ({ breakers: reading.breakers() })),
      prewarm: () => Effect.sync(() => ({ prewarm: reading.prewarm() })),
      changes: ({ query }) =>
        Effect.map(Shown.limitOf(query.limit, 500), (limit) => ({ changes: audit.recent(limit).map(Audits.shown) })),
      events: () => events(feed),
    }))

/** As JSON writes it: the records of events have fields without a value. */
const asJson = (value: unknown) => Respond.json(JSON.stringify(value))

const decisionGroup = ({ decisions }: Shared) =>
  HttpApiBuilder.group(api, "decisions", (handlers) => {
    const one = (id: string) => Effect.map(Shown.find(decisions.now, id), (decision) => asJson(Shown.shown(decision)))
    return handlers.handleAll({
      decisions: ({ query: { id, limit } }) =>
        id === undefined ? Effect.map(Shown.recent(decisions.now, limit), asJson) : one(id),
      decision: ({ params: { id } }) => one(id),
      why: ({ params: { id } }) =>
        Effect.gen(function* () {
          const words = why(yield* Shown.find(decisions.now, id))
          const { headers } = yield* HttpServerRequest.HttpServerRequest
          const asText = (headers["accept"] ?? "").startsWith("text/plain")
          return asText ? HttpServerResponse.text(`${[words.summary, ...words.sentences].join("\n")}\n`) : words
        }),
    })
  })

const backendGroup = ({ audit, changes, reading }: Shared) =>
  HttpApiBuilder.group(api, "backends", (handlers) => {
    type Change = ReturnType<Changes["pin"]>
    const done = <E, R>(id: string, words: Effect.Effect<string, E, R>) =>
      Effect.map(words, (done) => ({ done, backend: reading.backend(id)! }))
    const to = (action: AdminAction, state: MemberState) => ({ params: { id } }: { readonly params: { id: string } }) =>
      done(id, audit.of(action, { backend: id }, changes.setState(id, state)))
    type Call = { readonly params: { readonly id: string }; readonly payload: { readonly model: string } }
    const on = (action: AdminAction, change: (id: string, model: string) => Change) => ({ params, payload }: Call) =>
      done(params.id, audit.of(action, { backend: params.id, model: payload.model }, change(params.id, payload.model)))
    return handlers.handleAll({
      drain: to("drain", "draining"),
      undrain: to("undrain", "active"),
      isolate: to("isolate", "isolated"),
      load: ({ params: { id }, payload }) =>
        done(id, audit.of("load", { backend: id, model: payload.model }, changes.load(id, payload.model, payload))),
      prewarm: on("prewarm", (id, model) => changes.prewarm(id, model)),
      unload: on("unload", (id, model) => changes.unload(id, model)),
      pin: on("pin", (id, model) => changes.pin(id, model)),
      unpin: on("unpin", (id, model) => changes.unpin(id, model)),
    })
  })

const fixedLog = new NotNow({ error: "the log of this router cannot be changed while it runs" })

const shownLog = (log: LogControl) => ({ level: log.level(), sample: log.sample() })

/** Changes the log and says what it is now. */
const changeLog = (
  log: LogControl | undefined,
  level: LogLevel.LogLevel | undefined,
  sample: number | undefined,
): Effect.Effect<string, NotNow> =>
  Effect.suspend(() => {
    if (log === undefined) return Effect.fail(fixedLog)
    if (level !== undefined) log.setLevel(level)
    if (sample !== undefined) log.setSample(sample)
    return Effect.succeed(`level ${log.level()}, sample ${log.sample()}`)
  })

const routerGroup = ({ audit, log, reload }: Shared) =>
  HttpApiBuilder.group(api, "router", (handlers) =>
    handlers.handleAll({
      log: () => log === undefined ? Effect.fail(fixedLog) : Effect.sync(() => shownLog(log)),
      setLog: ({ payload: { level, sample } }) =>
        Effect.map(audit.of("log", {}, changeLog(log, level, sample)), () => shownLog(log!)),
      reload: () => {
        let reloaded: Effect.Success<Reload> = []
        const words = Effect.map(reload, (done) => {
          reloaded = done
          return done.map(({ result, what }) => `${what} ${result}`).join(", ")
        })
        return Effect.map(audit.of("reload", {}, words), () => ({ reloaded }))
      },
    }))

/** The handlers of all groups. @category layers @since 0.1.0 */
export const groups = (shared: Shared) =>
  Layer.mergeAll(stateGroup(shared), decisionGroup(shared), backendGroup(shared), routerGroup(shared))
