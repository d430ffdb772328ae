/**
 * Decides what happens to the loads and unloads of one backend. Pure: a plain state and an event in, actions out.
 *
 * `loadLoop.ts` collects the state, carries the actions out and reports what came of them as the next event.
 *
 * @since 0.1.0
 */
import type { NoRoom } from "../../../services/VramLedger.ts"
import { type Charged, makeRoom, type ModelInMemory, type ResidentCandidate, type Rules } from "./makeRoom.ts"

/** A load in the queue. @category models @since 0.1.0 */
export interface QueuedLoad {
  /** Canonical key of the model; no two loads of one queue have the same. */
  readonly model: string
  /** Whether other models may be unloaded for it. */
  readonly evicts: boolean
  /** Whether the ledger has read what it has to know of the model. */
  readonly ready: boolean
  /** Whether the ledger has refused it already since the last event from outside. */
  readonly tried: boolean
  /** Whether the model is resident already, in the way that is asked for. */
  readonly resident: boolean
  /** Key of the same weights in memory, with whatever context; `undefined` when they are absent. */
  readonly copy: string | undefined
  /** Keys of the models in memory that this load would push out, as earlier loads have shown. */
  readonly conflicts: ReadonlyArray<string>
  /** Milliseconds since the load was asked for. */
  readonly waitedMillis: number
  /** Milliseconds for which it could have started, but found no room. */
  readonly millisWithoutRoom: number
  /** Why the facts above could not be collected; `undefined` when they could. */
  readonly defect: string | undefined
}

/** The state of one backend. @category models @since 0.1.0 */
export interface State {
  /** Whether the ledger knows the memory of the backend. */
  readonly managed: boolean
  /** Whether `/api/ps` has been read. Before that it is not known which models are in memory. */
  readonly read: boolean
  /** Whether a load is running. */
  readonly running: boolean
  readonly queue: ReadonlyArray<QueuedLoad>
  /** The models in memory, by key. */
  readonly models: ReadonlyMap<string, ModelInMemory>
  readonly rules: Rules & { readonly loadTimeoutMillis: number }
  readonly now: number
}

/** What happened. @category models @since 0.1.0 */
export type Event =
  /** Something that may let a load start: it was asked for, another one has ended, memory came back. */
  | { readonly _tag: "Changed" }
  /** A reading of `/api/ps` has ended, well or badly. */
  | { readonly _tag: "Read" }
  /** The ledger had no room for a load that was to start. */
  | {
    readonly _tag: "Refused"
    readonly model: string
    readonly why: NoRoom
    readonly candidates: ReadonlyArray<ResidentCandidate>
    readonly allocations: ReadonlyArray<Charged>
  }
  /** The ledger threw instead of an answer. */
  | { readonly _tag: "Defect"; readonly model: string; readonly description: string }
  | { readonly _tag: "LeftFleet" }
  /** The router no longer wants a model in memory. */
  | { readonly _tag: "UnloadAsked"; readonly model: string }
  /** A draining model may be idle: it has just begun to drain, or a request that used it has ended. */
  | { readonly _tag: "UnloadDue"; readonly model: string }
  /** The backend was asked to unload a model, and it is still in memory. */
  | { readonly _tag: "UnloadFailed"; readonly model: string }

/** What is to be done. @category models @since 0.1.0 */
export type Action =
  /** Reserve memory and start the load. A refusal is the next event. Always the last action of a list. */
  | { readonly _tag: "Start"; readonly model: string }
  /** The model is resident already: the load ends with success. */
  | { readonly _tag: "Done"; readonly model: string }
  /** The load ends with an error, and is not repeated for a cool-down. */
  | {
    readonly _tag: "Fail"
    readonly model: string
    readonly description: string
    readonly status: number | undefined
  }
  /** The load ends with an error, but does not count as a failed one: it may be asked for again at once. */
  | { readonly _tag: "Drop"; readonly model: string; readonly description: string }
  /** No new requests for the model; unload it when it is idle. */
  | { readonly _tag: "Drain"; readonly backend: string | undefined; readonly model: string }
  /** Ask the backend to unload the model. */
  | { readonly _tag: "Unload"; readonly model: string }
  /** End the drain: the model stays resident. */
  | { readonly _tag: "Keep"; readonly model: string }
  /** Log that a plugin has thrown. */
  | { readonly _tag: "Warn"; readonly message: string; readonly defect: unknown }

type Actions = ReadonlyArray<Action>

const without = (state: State, models: ReadonlyArray<string>): State => ({
  ...state,
  queue: state.queue.filter(({ model }) => !models.includes(model)),
})

const fail = (model: string, description: string, status?: number): Action => ({
  _tag: "Fail",
  model,
  description,
  status,
})

/** Whether the load would push out a model that is in use, and has not waited long enough for that. */
const waitsForConflict = ({ models, rules }: State, { conflicts, waitedMillis }: QueuedLoad): boolean =>
  waitedMillis < rules.patienceMillis && conflicts.some((key) => {
    const model = models.get(key)
    return model !== undefined && (!model.idle || model.restedMillis < rules.idleMillis)
  })

const mayDrain = ({ draining, idle, pinned }: ModelInMemory): boolean => !draining && idle && !pinned

/**
 * Whether the load may start now as far as its own backend is concerned. Where memory is managed, the weights must
 * first leave if they are in memory with another context: `drain` says that they can.
 */
const turnOf = (state: State, load: QueuedLoad): "start" | "drain" | "wait" => {
  if (load.tried || !load.ready) return "wait"
  const copy = load.copy === undefined ? undefined : state.models.get(load.copy)
  if (!state.managed) return copy?.draining === true || waitsForConflict(state, load) ? "wait" : "start"
  if (!state.read) return "wait"
  if (copy === undefined) return "start"
  return mayDrain(copy) ? "drain" : "wait"
}

/** Ends the loads that are over without having run, and starts the first load that may start. */
const next = (state: State): Actions => {
  if (state.running) return []
  const actions: Array<Action> = []
  // A load that holds others back does not hold back a load whose model has become resident in the meantime.
  for (const { defect, model, resident } of state.queue) {
    if (defect !== undefined) actions.push(fail(model, defect))
    else if (resident) actions.push({ _tag: "Done", model })
  }
  for (const load of state.queue) {
    if (load.defect !== undefined || load.resident) continue
    const turn = turnOf(state, load)
    if (turn === "drain") actions.push({ _tag: "Drain", backend: undefined, model: load.copy! })
    if (turn !== "start") continue
    actions.push({ _tag: "Start", model: load.model })
    break
  }
  return actions
}

/**
 * A load found no room: it fails, is dropped, lets others pass, or holds them back while memory is made free for it.
 */
const refused = (state: State, event: Extract<Event, { readonly _tag: "Refused" }>): Actions => {
  const { allocations, candidates, model, why } = event
  const load = state.queue.find((each) => each.model === model)
  if (load === undefined) return next(state)
  const rest = without(state, [model])
  if (why.never) return [fail(model, `${model} does not fit: ${why.reason}`, 500), ...next(rest)]
  if (why.freeing.length === 0) return next(rest)
  // It was only to use free memory, and there is none. A request that needs the model must not wait for this load.
  if (!load.evicts) return [{ _tag: "Drop", model, description: "no free memory" }, ...next(rest)]
  const { leave, thrown } = makeRoom({
    freeing: why.freeing,
    candidates,
    allocations,
    rules: state.rules,
    now: state.now,
    impatient: load.waitedMillis >= state.rules.patienceMillis,
  })
  const warnings = thrown.map((defect): Action => ({
    _tag: "Warn",
    message: `the victim picker ${state.rules.picker.name} failed: no model is unloaded for ${model}`,
    defect,
  }))
  // Later loads of the queue may go first. That cannot block this load for ever: their models can be unloaded again.
  if (leave === "none") return [...warnings, ...next(rest)]
  if (leave === "under way") return warnings
  return [
    ...warnings,
    ...leave.map(({ victim }): Action => ({ _tag: "Drain", backend: victim.backend, model: victim.model })),
  ]
}

/** Fails the loads that have found no room for the longest time a load may take, then starts the next one. */
const overdue = (state: State): Actions => {
  if (state.running) return []
  const late = state.queue.filter((load) => load.millisWithoutRoom >= state.rules.loadTimeoutMillis)
    .map(({ model }) => model)
  return [...late.map((model) => fail(model, "no room in memory")), ...next(without(state, late))]
}

const unloads = (state: State, { _tag, model }: Extract<Event, { readonly _tag: `Unload${string}` }>): Actions => {
  const copy = state.models.get(model)
  if (copy === undefined) return []
  if (_tag === "UnloadAsked") {
    return mayDrain(copy) && copy.load === "none" ? [{ _tag: "Drain", backend: undefined, model }] : []
  }
  if (!copy.draining) return []
  if (_tag === "UnloadFailed") return [{ _tag: "Keep", model }]
  if (!copy.idle) return []
  // Pinned while its last requests were ending: it stays.
  return [{ _tag: copy.pinned ? "Keep" : "Unload", model }]
}

/** What is to be done after an event, in this order. @category decisions @since 0.1.0 */
export const decide = (state: State, event: Event): Actions => {
  switch (event._tag) {
    case "Changed":
      return next(state)
    case "Read":
      return overdue(state)
    case "Refused":
      return refused(state, event)
    case "Defect":
      return [fail(event.model, event.description), ...next(without(state, [event.model]))]
    case "LeftFleet":
      return state.queue.map(({ model }) => ({ _tag: "Drop", model, description: "the backend left the fleet" }))
    default:
      return unloads(state, event)
  }
}
