/**
 * Layers with eyes around them: each takes a layer and gives one that does the same, and tells a `Watch` of it.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer } from "effect"
import { Admission } from "../../services/Admission.ts"
import { Breaker } from "../../services/Breaker.ts"
import { isLease, Leases } from "../../services/Leases.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { type Pin, Residency } from "../../services/Residency.ts"
import { type ByteSink, Transport } from "../../services/Transport.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import { concat } from "../../wire/json.ts"
import type { Place, Sent, There, Watch } from "./sights.ts"

/** As a network may deliver it: of each part the end comes with the next one, so that every silence falls into the middle of a record. */
const torn = (sink: ByteSink): ByteSink => {
  let rest = new Uint8Array(0)
  return {
    open: (upstream) => sink.open(upstream),
    head: (status, raw) => sink.head(status, raw),
    data: (chunk) => {
      const cut = chunk.length >> 1
      sink.data(concat([rest, chunk.subarray(0, cut)]))
      rest = chunk.slice(cut)
    },
    end: () => {
      sink.data(rest)
      sink.end()
    },
    fail: (error) => sink.fail(error),
  }
}

/** What each backend is sent, and what it sends. @category layers @since 0.1.0 */
export const transport =
  (watch: Watch, tears: boolean) => <E, R>(inner: Layer.Layer<Transport, E, R>): Layer.Layer<Transport, E, R> =>
    Layer.effect(
      Transport,
      Effect.map(Transport, ({ send }) => ({
        send: (backend, call, to) => {
          const id = call.headers[call.headers.indexOf("X-Request-Id") + 1]!
          const sent: Sent = { id, backend: backend.id, chunks: [], status: 0, ending: undefined }
          const over = (ending: Sent["ending"]): void => {
            if (sent.ending !== undefined) return
            sent.ending = ending
            watch.tell("over", sent)
          }
          const sink: ByteSink = {
            open: (upstream) =>
              to.open({
                pause: () => upstream.pause(),
                resume: () => upstream.resume(),
                abort: () => {
                  over("abort")
                  upstream.abort()
                },
              }),
            head: (status, raw) => {
              sent.status = status
              to.head(status, raw)
            },
            data: (chunk) => {
              sent.chunks.push(chunk)
              to.data(chunk)
            },
            end: () => {
              over("end")
              to.end()
            },
            fail: (error) => {
              over("fail")
              to.fail(error)
            },
          }
          watch.tell("sent", sent)
          send(backend, call, tears ? torn(sink) : sink)
        },
      })),
    ).pipe(Layer.provide(inner))

/** Loads and unloads. @category layers @since 0.1.0 */
export const api = (watch: Watch) => <E, R>(inner: Layer.Layer<OllamaApi, E, R>): Layer.Layer<OllamaApi, E, R> =>
  Layer.effect(
    OllamaApi,
    Effect.map(OllamaApi, (made) => ({
      ...made,
      load: (backend, model, options) =>
        Effect.suspend(() => {
          const load = { backend: backend.id, model, devices: backend.devices }
          watch.tell("loading", load)
          return Effect.ensuring(made.load(backend, model, options), Effect.sync(() => watch.tell("loaded", load)))
        }),
      unload: (backend, model, options) =>
        Effect.suspend(() => {
          watch.tell("unloading", { backend: backend.id, model })
          return made.unload(backend, model, options)
        }),
    })),
  ).pipe(Layer.provide(inner))

/** Permits, what is recorded of them, and transitions. @category layers @since 0.1.0 */
export const breaker = (watch: Watch) => <E, R>(inner: Layer.Layer<Breaker, E, R>): Layer.Layer<Breaker, E, R> =>
  Layer.effect(
    Breaker,
    Effect.map(Breaker, (made) => {
      made.onTransition((transition) => watch.tell("moved", transition))
      return {
        ...made,
        acquire: (backend, model) => {
          const whole = made.state(backend)
          const worse = made.state(backend, model)
          const permit = made.acquire(backend, model)
          watch.tell("permit", { backend, model, permit, whole, worse })
          if (permit === undefined) return undefined
          return {
            trial: permit.trial,
            record: (outcome) => {
              watch.tell("recorded", { backend, model, permit, outcome })
              permit.record(outcome)
            },
          }
        },
      }
    }),
  ).pipe(Layer.provide(inner))

/** Leases from commit to release. @category layers @since 0.1.0 */
export const leases = (watch: Watch) => <E, R>(inner: Layer.Layer<Leases, E, R>): Layer.Layer<Leases, E, R> =>
  Layer.effect(
    Leases,
    Effect.map(Leases, (made) => {
      // One release may set off others; the books are right when all have returned.
      let depth = 0
      return {
        ...made,
        commit: (ranked, demand) => {
          const commit = made.commit(ranked, demand)
          if (!isLease(commit)) return commit
          const lease: There = { backend: commit.backend.id, model: demand.model.key }
          watch.tell("leased", { lease, uses: demand.loads })
          return {
            ...commit,
            release: (outcome) => {
              // Before, since what it frees may be taken before it returns.
              watch.tell("released", { lease, outcome })
              depth++
              commit.release(outcome)
              if (--depth === 0) watch.tell("counted", made.count())
            },
          }
        },
      }
    }),
  ).pipe(Layer.provide(inner))

/** What is charged at every reservation. @category layers @since 0.1.0 */
export const ledger = (watch: Watch) => <E, R>(inner: Layer.Layer<VramLedger, E, R>): Layer.Layer<VramLedger, E, R> =>
  Layer.effect(
    VramLedger,
    Effect.map(VramLedger, (made) => ({
      ...made,
      reserve: (backend, model, numCtx) => {
        const allocation = made.reserve(backend, model, numCtx)
        if (!("_tag" in allocation)) {
          const mine = new Set(allocation.shares().map(({ device }) => device))
          const devices = made.devices().filter(({ device }) => mine.has(device))
          watch.tell("reserved", { allocations: made.allocations(), devices })
        }
        return allocation
      },
    })),
  ).pipe(Layer.provide(inner))

/** Pins. @category layers @since 0.1.0 */
export const residency = (watch: Watch) => <E, R>(inner: Layer.Layer<Residency, E, R>): Layer.Layer<Residency, E, R> =>
  Layer.effect(
    Residency,
    Effect.map(Residency, (made) => ({
      ...made,
      pin: (backend, model): Pin => {
        const there = { backend, model: model.key }
        const pin = made.pin(backend, model)
        watch.tell("pinned", there)
        let released = false
        return {
          release: () => {
            pin.release()
            if (released) return
            released = true
            watch.tell("unpinned", there)
          },
        }
      },
    })),
  ).pipe(Layer.provide(inner))

/** Who waits, who is granted a lease, and who passes whom. @category layers @since 0.1.0 */
export const admission = (watch: Watch) => <E, R>(inner: Layer.Layer<Admission, E, R>): Layer.Layer<Admission, E, R> =>
  Layer.effect(
    Admission,
    Effect.map(Effect.all([Admission, Clock.Clock]), ([made, clock]) => ({
      ...made,
      admit: (demand, commit, use) =>
        Effect.suspend(() => {
          const { excluded, id, kind, loads, model: { key: model }, numCtx, priority, tenant } = demand
          const place: Place = {
            id,
            model,
            tenant,
            priority,
            again: excluded.length > 0,
            wants: `${kind} ${loads} ${numCtx}`,
          }
          watch.tell("waiting", place)
          const granting = (waiting: number) => {
            const committed = commit(waiting)
            const at = clock.currentTimeMillisUnsafe()
            if (isLease(committed)) watch.tell("granted", { place, at })
            else if (committed === "loading") watch.tell("passedBy", { place, at })
            return committed
          }
          return Effect.ensuring(made.admit(demand, granting, use), Effect.sync(() => watch.tell("gone", place)))
        }),
    })),
  ).pipe(Layer.provide(inner))
