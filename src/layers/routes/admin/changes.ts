/**
 * What operators can do to backends and to the models in their memory. Each gives what it has done, in words, or fails
 * with why it has not.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Backend, Member, MemberState } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import { Failed, NotNow, Unknown } from "./errors.ts"
import type { OperatorPins } from "./pins.ts"
import type { Services } from "./state.ts"

/** What a load of an operator asks for. @category models @since 0.1.0 */
export interface LoadCall {
  readonly evicts?: boolean | undefined
  readonly num_ctx?: number | undefined
  readonly wait?: boolean | undefined
}

type Words<E = NotNow | Unknown> = Effect.Effect<string, E>

const notNow = (error: string) => Effect.fail(new NotNow({ error }))
const unknown = (error: string) => Effect.fail(new Unknown({ error }))

/** No backend is called that. @category errors @since 0.1.0 */
export const noBackend = (id: string) => new Unknown({ error: `no backend is called ${JSON.stringify(id)}` })

/** A caller can write anything as a name. */
const nameMax = 200

const streams = (count: number): string => count === 1 ? "1 request is" : `${count} requests are`

/** @category models @since 0.1.0 */
export class Changes {
  private readonly services: Services
  private readonly pins: OperatorPins

  constructor(services: Services, pins: OperatorPins) {
    this.services = services
    this.pins = pins
  }

  member(id: string): Effect.Effect<Member, Unknown> {
    return Effect.suspend(() => {
      const found = this.services.fleet.members().find(({ backend }) => backend.id === id)
      return found === undefined ? Effect.fail(noBackend(id)) : Effect.succeed(found)
    })
  }

  setState(id: string, state: MemberState): Words {
    const { fleet, leases } = this.services
    return Effect.gen({ self: this }, function* () {
      const before = yield* this.member(id)
      yield* Effect.mapError(fleet.setState(id, state), () => noBackend(id))
      const running = leases.view.find(id)?.streams ?? 0
      if (before.state === state) return `${id} was ${state} already; ${streams(running)} under way`
      return state === "active"
        ? `${id} takes new requests again`
        : `${id} is ${state} and takes no new requests; ${streams(running)} under way`
    })
  }

  load(id: string, name: string, call: LoadCall): Words<Failed | NotNow | Unknown> {
    const { residency } = this.services
    return Effect.gen({ self: this }, function* () {
      const { backend, model } = yield* this.found(id, name)
      const why = this.unloadable(backend, model)
      if (why !== "") return yield* notNow(why)
      const isIn = residency.state(id, model) === "resident"
      if (isIn && residency.serves(id, model, call.num_ctx) !== false) return `${model.key} is in the memory of ${id}`
      const request = { evicts: call.evicts, numCtx: call.num_ctx }
      if (call.wait !== true) {
        residency.request(backend, model, request)
        return `the load of ${model.key} on ${id} has been asked for`
      }
      yield* Effect.mapError(residency.load(backend, model, request), ({ message }) => new Failed({ error: message }))
      return `${model.key} was loaded on ${id}`
    })
  }

  prewarm(id: string, name: string): Words {
    const { ledger, residency } = this.services
    return Effect.gen({ self: this }, function* () {
      const { backend, model } = yield* this.found(id, name)
      const state = residency.state(id, model)
      if (state !== "absent") return `${model.key} is ${state} on ${id} already`
      const why = this.unloadable(backend, model)
      if (why !== "") return yield* notNow(why)
      if (residency.list(id).some(({ state }) => state === "loading")) {
        return yield* notNow(`another load is under way on ${id}`)
      }
      const needs = ledger.needs(backend, model)
      const room = ledger.room(backend)
      if (needs !== undefined && room !== undefined && needs > room) {
        const free = Math.max(0, room)
        return yield* notNow(`${model.key} needs ${needs} bytes, and ${id} has ${free} bytes free for loads`)
      }
      residency.request(backend, model, { evicts: false })
      return `the load of ${model.key} into free memory of ${id} has been asked for`
    })
  }

  unload(id: string, name: string): Words {
    const { pins, services: { residency } } = this
    return Effect.gen({ self: this }, function* () {
      const { backend, model } = yield* this.found(id, name)
      const state = residency.state(id, model)
      if (state === "absent") return yield* notNow(`${model.key} is not in the memory of ${id}`)
      if (state !== "resident") return yield* notNow(`${model.key} is ${state} on ${id}`)
      if (pins.has(id, model)) return yield* notNow(`${model.key} is pinned on ${id}: unpin it first`)
      if (residency.pinned(id, model)) return yield* notNow(`a plan keeps ${model.key} on ${id}`)
      if (!residency.unload(backend, model)) return yield* notNow(`${model.key} is in use on ${id}`)
      return `${model.key} is being unloaded from ${id}`
    })
  }

  pin(id: string, name: string): Words {
    return Effect.gen({ self: this }, function* () {
      const { model } = yield* this.found(id, name)
      if (this.pins.has(id, model)) return `${model.key} was pinned on ${id} already`
      return this.pins.add(id, model)
        ? `${model.key} is pinned on ${id}`
        : yield* notNow("this router does not manage the memory of models, so it keeps no pins")
    })
  }

  unpin(id: string, name: string): Words {
    return Effect.gen({ self: this }, function* () {
      const { model } = yield* this.found(id, name)
      if (!this.pins.has(id, model)) {
        return yield* notNow(
          this.services.residency.pinned(id, model)
            ? `a plan keeps ${model.key} on ${id}, not an operator`
            : `${model.key} is not pinned on ${id}`,
        )
      }
      this.pins.remove(id, model)
      return `${model.key} is no longer pinned on ${id}`
    })
  }

  /** The backend, and a model that it has on disk. */
  private found(id: string, name: string) {
    const { catalog } = this.services
    return Effect.gen({ self: this }, function* () {
      const { backend } = yield* this.member(id)
      const model = yield* Effect.mapError(
        catalog.find(name),
        ({ reason }) =>
          reason._tag === "ModelMissing"
            ? new Unknown({ error: `no backend has the model ${JSON.stringify(name.slice(0, nameMax))}` })
            : new NotNow({ error: reason.description }),
      )
      if (!model.owners.has(id)) return yield* unknown(`${id} does not have the model ${model.key} on its disk`)
      if (model.remote) return yield* notNow(`${model.key} runs on ollama.com and is never in the memory of a backend`)
      return { backend, model }
    })
  }

  /** Why a load cannot be asked for now; empty where it can. */
  private unloadable(backend: Backend, model: Model): string {
    const status = this.services.health.status(backend.id)
    if (status.state === "unhealthy") return `${backend.id} is unhealthy: ${status.reason}`
    const failure = this.services.residency.failure(backend.id, model)
    return failure === undefined
      ? ""
      : `the last load failed a moment ago, and is not tried again at once: ${failure.description}`
  }
}
