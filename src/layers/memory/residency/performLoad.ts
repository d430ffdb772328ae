/**
 * Performs loads at a backend.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Result } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { isEmbedder } from "../../../services/ModelCatalog.ts"
import type { ResidentModel } from "../../../services/Residency.ts"
import type { Allocation } from "../../../services/VramLedger.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { Ending, LoadLoop } from "./loadLoop.ts"
import type { Load } from "./loadQueue.ts"
import type { Read } from "./reading.ts"
import { isResident } from "./snapshot.ts"

/** Keys of the models that would still be resident by their keep-alive. */
const unexpired = (before: ReadonlyArray<ResidentModel>, now: number): ReadonlyArray<string> =>
  before.filter(({ expiresAt }) => expiresAt === undefined || now < expiresAt).map(({ model }) => model)

/** Calls the backend. Every way to end is a result: a load that never ended would block its backend for ever. */
const call = ({ api, keepAlive, limits: { loadTimeout } }: Holdings, backend: Backend, { model, numCtx }: Load) =>
  Effect.suspend(() =>
    api.load(backend, model.key, { embedder: isEmbedder(model), keepAlive: keepAlive(backend), numCtx })
  ).pipe(
    Effect.mapError(({ reason }) => ({
      description: reason.description,
      status: reason._tag === "Rejected" ? reason.status : undefined,
    })),
    Effect.catchDefect((defect) => Effect.fail({ description: String(defect), status: undefined })),
    Effect.timeoutOrElse({
      duration: loadTimeout,
      orElse: () =>
        Effect.fail({ description: `not loaded within ${Duration.format(loadTimeout)}`, status: undefined }),
    }),
    Effect.result,
  )

/** How a load ended, and whether `/api/ps` is read after it: to see what is left, or also to learn conflicts. */
interface Attempt extends Ending {
  readonly after: "nothing" | "read" | "learn"
}

const isMember = ({ backends }: Holdings, held: Held): boolean => backends.get(held.models.backend) === held

/** Ends a load that died of a defect. Its memory is given back, unless the model is in memory after all. */
const failed = (holdings: Holdings, held: Held, load: Load, allocation: Allocation, begun: number) => {
  const { contained, now } = holdings
  return (defect: unknown): Effect.Effect<Attempt> =>
    Effect.sync(() => {
      const accounted = Array.from(held.models.loaded.values()).some((each) => each.allocation === allocation)
      if (!accounted) contained("Allocation.move", () => allocation.move("releasing"), undefined)
      const error = held.history.error(load.model.key, String(defect), now())
      return { millis: now() - begun, error, after: isMember(holdings, held) ? "read" : "nothing" }
    })
}

/** The load is over, and the next one may run. Reads what the backend holds now, and learns conflicts from it. */
const look = Effect.fnUntraced(function* (
  { nextSeq, now }: Holdings,
  read: Read,
  held: Held,
  key: string,
  before: ReadonlyArray<ResidentModel> | undefined,
) {
  const seq = nextSeq()
  yield* read(held)
  if (before === undefined || held.models.readSeq <= seq) return
  held.conflicts.learn(key, unexpired(before, now()), (each) => held.models.loaded.has(each))
}, Effect.catchDefect((defect) => Effect.logWarning("reading a backend after a load failed", defect)))

/** A load of a model with memory that is reserved for it. @category models @since 0.1.0 */
export type PerformLoad = (held: Held, load: Load, allocation: Allocation) => Effect.Effect<void>

/** @category constructors @since 0.1.0 */
export const makePerformLoad = (holdings: Holdings, read: Read, loop: LoadLoop): PerformLoad => {
  const { ledger, nextSeq, now } = holdings

  /** After a load that the backend calls a success: books it, and where it matters waits until `/api/ps` shows it. */
  const book = Effect.fnUntraced(
    function* (
      held: Held,
      { model, numCtx }: Load,
      allocation: Allocation,
      on: Backend,
      millis: number,
    ): Effect.fn.Return<Attempt> {
      const { conflicts, history, loads, models } = held
      const managed = ledger.managed(loads.backend)
      const present = isMember(holdings, held)
      allocation.move(present ? "resident" : "releasing")
      if (present) models.assume(model, nextSeq(), now(), { allocation, tier: numCtx, on })
      history.succeeded(model.key, millis)
      // Where memory is managed a load is over only when `/api/ps` shows the model. Where the load may have pushed out
      // other models, it is over only when `/api/ps` shows that.
      if (present && (managed || conflicts.of(model.key).size > 0)) yield* read(held)
      if (present && managed) yield* ledger.refresh
      const loaded = models.find(model)
      const vanished = managed && present && isMember(holdings, held) && loaded === undefined
      const error = vanished ? history.error(model.key, "it was gone again after its load", now()) : undefined
      return { millis, error, spilled: loaded?.spilled, after: present && !managed ? "learn" : "nothing" }
    },
  )

  const attempt = Effect.fnUntraced(function* (
    held: Held,
    load: Load,
    allocation: Allocation,
  ): Effect.fn.Return<Attempt> {
    // Another name of the weights may have been loaded while this load was queued.
    if (isResident(held, load.model, load, now())) {
      allocation.move("gone")
      return { millis: 0, error: undefined, after: "nothing" }
    }
    const begun = now()
    const { backend } = held.loads
    const result = yield* call(holdings, backend, load)
    const millis = now() - begun
    if (Result.isSuccess(result)) return yield* book(held, load, allocation, backend, millis)
    // The backend may not have given back yet what the load had taken.
    allocation.move("releasing")
    const { description, status } = result.failure
    const error = held.history.error(load.model.key, description, now(), status)
    return { millis, error, after: isMember(holdings, held) ? "read" : "nothing" }
  })

  return Effect.fnUntraced(function* (held, load, allocation) {
    // A fiber starts in the stack of the code that forks it. After this yield a load never begins inside a commit.
    yield* Effect.yieldNow
    const begun = now()
    const before = held.models.list(begun).filter(({ state }) => state === "resident")
    const { after, ...ending } = yield* Effect.catchDefect(
      attempt(held, load, allocation),
      failed(holdings, held, load, allocation, begun),
    )
    loop.ended(held, load, ending)
    if (after !== "nothing") yield* look(holdings, read, held, load.model.key, after === "learn" ? before : undefined)
  })
}
