/**
 * Footprints decided by a test.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import {
  type Footprint,
  type Lesson,
  ModelFootprints,
  type Observation,
  type RunShape,
} from "../../services/Footprint.ts"
import type { Model } from "../../services/ModelCatalog.ts"

const key = "llamero/testing/mocks/MockModelFootprints/MockFootprints"
const Base: Context.ServiceClass<MockFootprints, typeof key, Service> = Context.Service<MockFootprints, Service>()(key)

/**
 * Test handle. Everything is synchronous.
 *
 * @category services
 * @since 0.1.0
 */
export class MockFootprints extends Base {}

/** The members of `MockFootprints`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Sets the bytes of a model (canonical key) on every backend and in every shape; `undefined` is "not known". Forgets
   * what was learned of the model.
   */
  readonly set: (model: string, bytes: number | undefined) => void
  /** Every observation so far, in order. */
  readonly observations: () => ReadonlyArray<{
    readonly model: string
    readonly backend: string
    readonly shape: RunShape
    readonly observation: Observation
  }>
}

const make = (initial: Readonly<Record<string, number>>) =>
  Effect.sync(() => {
    const given = new Map(Object.entries(initial))
    const learned = new Map<string, number>()
    const observations: Array<ReturnType<MockFootprints["Service"]["observations"]>[number]> = []
    let changes = 0
    const idOf = (model: string, backend: string, shape: RunShape): string =>
      JSON.stringify([model, backend, shape.context, shape.parallelism, shape.kvType])

    const of = (model: Model, backend: Backend, shape: RunShape): Footprint | undefined => {
      if (model.remote) return { parts: undefined, total: 0, margin: 0, reserve: 0, source: "estimated" }
      const seen = learned.get(idOf(model.key, backend.id, shape))
      const total = seen ?? given.get(model.key)
      if (total === undefined) return undefined
      return {
        parts: undefined,
        total,
        margin: 0,
        reserve: total,
        source: seen === undefined ? "estimated" : "learned",
      }
    }
    const learn = (model: Model, backend: Backend, shape: RunShape, observation: Observation): Lesson => {
      observations.push({ model: model.key, backend: backend.id, shape, observation })
      const before = of(model, backend, shape)
      const bytes = Math.max(observation.size, observation.sizeVram, observation.freeDrop ?? 0)
      if (model.remote || !(bytes > 0)) return { before, after: before, exceeded: 0 }
      learned.set(idOf(model.key, backend.id, shape), bytes)
      changes++
      const exceeded = before === undefined ? 0 : Math.max(0, bytes - before.reserve)
      return { before, after: of(model, backend, shape), exceeded }
    }
    const footprints = ModelFootprints.of({
      of,
      geometry: () => undefined,
      learn,
      prepare: () => Effect.void,
      version: () => changes,
    })
    const handle = MockFootprints.of({
      set: (model, bytes) => {
        if (bytes === undefined) given.delete(model)
        else given.set(model, bytes)
        for (const id of learned.keys()) if (id.startsWith(`[${JSON.stringify(model)},`)) learned.delete(id)
        changes++
      },
      observations: () => observations.slice(),
    })
    return Context.make(ModelFootprints, footprints).pipe(Context.add(MockFootprints, handle))
  })

/**
 * Has the bytes of `initial`, by canonical key, for every shape. An observation replaces them for its backend and
 * shape, without margins.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  initial: Readonly<Record<string, number>> = {},
): Layer.Layer<ModelFootprints | MockFootprints> => Layer.effectContext(make(initial))
