/**
 * Asks backends what they have, and makes them pull.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Option, Result, Schema } from "effect"
import * as ModelPull from "../../layers/routes/ModelPull.ts"
import type { Backend } from "../../services/Fleet.ts"
import * as ModelName from "../../services/ModelName.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { Transport } from "../../services/Transport.ts"
import type { PlannedPull, Survey } from "./plan.ts"

/** Backends that are asked at the same time. */
const asksMax = 16

/** What the backends have on disk. @category calls @since 0.1.0 */
export const survey = (backends: ReadonlyArray<Backend>): Effect.Effect<Survey, never, OllamaApi> =>
  Effect.gen(function* () {
    const api = yield* OllamaApi
    const found = yield* Effect.forEach(
      backends,
      (backend) => Effect.map(Effect.result(api.tags(backend)), (tags) => [backend.id, tags] as const),
      { concurrency: asksMax },
    )
    return new Map(found.map(([id, tags]) => [
      id,
      Result.isFailure(tags)
        ? tags.failure.message
        : new Map(tags.success.map(({ digest, model }) => [ModelName.canonical(model), digest])),
    ]))
  })

/** A pull that has ended. @category models @since 0.1.0 */
export interface Ended {
  readonly pull: PlannedPull
  /** Why it failed; empty where it did not. */
  readonly failure: string
}

/** How far a pull is, in bytes. @category models @since 0.1.0 */
export interface Progress {
  readonly completed: number
  /** Of the layers that are known so far. */
  readonly total: number
}

/** Who hears of pulls. @category models @since 0.1.0 */
export interface Listener {
  readonly onBegin: (pull: PlannedPull, progress: () => Progress) => Effect.Effect<void>
  readonly onEnd: (ended: Ended) => Effect.Effect<void>
}

const decodeTotal = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ total: Schema.Number })))

const progressOf = (pull: ModelPull.Pull): Progress => {
  let completed = 0
  let total = 0
  for (const step of pull.steps()) {
    // A layer that has just begun has no `completed`.
    total += Option.match(decodeTotal(step.text), { onNone: () => 0, onSome: (record) => record.total })
    completed += Math.max(0, step.completed)
  }
  return { completed, total }
}

/**
 * Performs the pulls: one at a time for each registry, and those of different registries at the same time. A pull that
 * fails does not keep the others from being tried.
 *
 * @category calls
 * @since 0.1.0
 */
export const perform = (
  backends: ReadonlyArray<Backend>,
  pulls: ReadonlyArray<PlannedPull>,
  limit: Duration.Duration,
  listener: Listener,
): Effect.Effect<ReadonlyArray<Ended>, never, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const byId = new Map(backends.map((backend) => [backend.id, backend]))
    const one = (planned: PlannedPull) =>
      Effect.gen(function* () {
        const pull = new ModelPull.Pull(byId.get(planned.backend)!)
        yield* listener.onBegin(planned, () => progressOf(pull))
        const failure = yield* Effect.match(ModelPull.send(transport, pull, planned.name, limit), {
          onFailure: ({ message }) => message,
          onSuccess: () => "",
        })
        const ended: Ended = { pull: planned, failure }
        yield* listener.onEnd(ended)
        return ended
      })
    const lines = Object.values(Object.groupBy(pulls, ({ registry }) => registry)) as ReadonlyArray<
      ReadonlyArray<PlannedPull>
    >
    const ended = yield* Effect.forEach(lines, (line) => Effect.forEach(line, one), { concurrency: "unbounded" })
    return ended.flat()
  })
