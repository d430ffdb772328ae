/**
 * One simulated Ollama server: its process, its disk, its faults and its call log.
 *
 * @since 0.1.0
 */
import { type Clock, type Context, Effect, type Fiber } from "effect"
import { type Fault, type FaultMatch, Faults } from "./faults/faults.ts"
import { struck } from "./faults/strike.ts"
import { isLoopback, passesAccess } from "./http/access.ts"
import { passesProxy } from "./http/proxy.ts"
import type { EndpointCall } from "./endpoints/endpoint.ts"
import { Dress } from "./http/dress.ts"
import { type AnswerSink, type CallRecord, Reply, type SimulatedRequest } from "./http/reply.ts"
import type { Failure } from "./http/failure.ts"
import { find, nowhere } from "./endpoints/routes.ts"
import * as Redirect from "./http/redirect.ts"
import { type Gpus, slotDelays } from "./scheduler/gpu.ts"
import { type Resident, residentOf } from "./scheduler/resident.ts"
import { Scheduler } from "./scheduler/scheduler.ts"
import { Disk } from "./models/disk.ts"
import type { SimulatedModel } from "./models/model.ts"
import type { Settings } from "./settings.ts"

/** The state between `up` and `down`. */
interface Process {
  readonly scheduler: Scheduler
  readonly fibers: Set<Fiber.Fiber<unknown, unknown>>
  readonly replies: Set<Reply>
  dead: boolean
}

/**
 * One simulated Ollama server.
 *
 * @category models
 * @since 0.1.0
 */
export class SimulatedServer {
  readonly url: string
  settings: Settings
  readonly faults: Faults = new Faults()
  readonly disk: Disk
  /** The calls that it received, oldest first. */
  readonly calls: Array<CallRecord> = []
  readonly #clock: Clock.Clock
  readonly #runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #loopback: boolean
  readonly #gpus: Gpus
  readonly #slotDelay: () => number
  #process: Process | undefined
  #number = 0

  constructor(url: string, settings: Settings, gpus: Gpus, context: Context.Context<never>, clock: Clock.Clock) {
    this.url = url
    this.settings = settings
    this.disk = new Disk(this.settings.models)
    this.#slotDelay = slotDelays(this.settings)
    this.#gpus = gpus
    this.#clock = clock
    this.#runFork = Effect.runForkWith(context)
    this.#loopback = isLoopback(url)
    this.#process = this.#start()
  }

  /** Whether its process runs. */
  get isUp(): boolean {
    return this.#process !== undefined
  }

  /** The models in memory. */
  get resident(): ReadonlyArray<Resident> {
    return Array.from(this.#process?.scheduler.loaded.values() ?? [], residentOf)
  }

  /** The model that is loading. */
  get loading(): SimulatedModel | undefined {
    return this.#process?.scheduler.loading
  }

  /** Requests that wait to be scheduled. */
  get pending(): number {
    return this.#process?.scheduler.pending ?? 0
  }

  /** Bytes of each GPU: in all, and in use. */
  get gpus(): ReadonlyArray<{ readonly total: number; readonly used: number }> {
    return this.#gpus
  }

  /** Counts of the scheduler since the process started. */
  get counts(): {
    readonly loads: number
    readonly unloads: number
    readonly loadsKilled: number
    readonly reloads: number
  } {
    return this.#process?.scheduler.counts ?? { loads: 0, unloads: 0, loadsKilled: 0, reloads: 0 }
  }

  /** Requests being answered. */
  get open(): number {
    return this.#process?.replies.size ?? 0
  }

  /** Sets a fault (see `Faults`). The returned function removes it. */
  script(fault: Fault, match?: FaultMatch): () => void {
    return this.faults.set(fault, match)
  }

  /** Kills the process: running answers break, memory is empty, new connections are refused. */
  down(): void {
    const process = this.#process
    if (process === undefined) return
    this.#process = undefined
    process.dead = true
    for (const reply of Array.from(process.replies)) reply.fail("Reset", "connection reset by peer")
    for (const fiber of Array.from(process.fibers)) fiber.interruptUnsafe()
    process.scheduler.memory.releaseAll()
  }

  /** Starts the process again, with empty memory, and if given with another `OLLAMA_NUM_PARALLEL`. */
  up(parallelism = this.settings.parallelism): void {
    if (this.#process === undefined) this.settings = { ...this.settings, parallelism }
    this.#process ??= this.#start()
  }

  /** Answers one request. It may call the sink before it returns. A refused connection is a `fail` without `open`. */
  handle(request: SimulatedRequest, sink: AnswerSink): void {
    const { encoding, spelling } = this.settings
    const dress = encoding === undefined && spelling === undefined ? undefined : new Dress(spelling ?? {}, encoding)
    const reply = new Reply(sink, request, () => this.#clock.currentTimeMillisUnsafe(), dress)
    this.#remember(reply.record)
    const process = this.#process
    const target = Redirect.read(request, (method, path) => this.#routes(method, path).route !== undefined)
    const path = "path" in target ? target.path : target.location
    const fault = process === undefined || !("path" in target) ? undefined : this.faults.next(path)
    if (process === undefined || fault?._tag === "Refuse") return reply.fail("Refused", "connection refused")
    process.replies.add(reply)
    reply.onClose = () => process.replies.delete(reply)
    reply.open()
    if (reply.closed) return
    // As in Ollama: the rules on `Host` and `Origin` are behind the redirects.
    if (!("path" in target)) return reply.redirect(target.status, target.location)
    const fiber = this.#fork(process, this.#answer(process, reply, path, fault))
    const leave = () => {
      process.replies.delete(reply)
      if (reply.record.state !== "done") fiber?.interruptUnsafe()
    }
    if (reply.closed) leave()
    else reply.onClose = leave
  }

  #routes(method: string, path: string): ReturnType<typeof find> {
    return this.settings.missingPaths.includes(path) ? nowhere : find(method, path)
  }

  #start(): Process {
    const process: Process = {
      scheduler: new Scheduler(this.settings, this.#gpus, this.#clock, (effect) => void this.#fork(process, effect)),
      fibers: new Set(),
      replies: new Set(),
      dead: false,
    }
    return process
  }

  #fork(process: Process, effect: Effect.Effect<void>): Fiber.Fiber<void> | undefined {
    if (process.dead) return undefined
    const fiber = this.#runFork(effect)
    if (fiber.pollUnsafe() === undefined) {
      process.fibers.add(fiber)
      fiber.addObserver(() => process.fibers.delete(fiber))
    }
    return fiber
  }

  #remember(record: CallRecord): void {
    if (this.settings.callsMax === 0) return
    if (this.calls.length >= this.settings.callsMax) this.calls.shift()
    this.calls.push(record)
  }

  #answer(process: Process, reply: Reply, path: string, fault: Fault | undefined): Effect.Effect<void> {
    const { method } = reply.request
    const { route, allow, parameter } = this.#routes(method, path)
    const number = this.#number++
    const failed = (failure: Failure): void => {
      const { contentType, body } = route?.failure(failure, number) ?? { contentType: "text/plain", body: failure.text }
      reply.whole(failure.status, contentType, body)
    }
    const work = Effect.suspend((): Effect.Effect<void, Failure> => {
      if (!passesProxy(reply, this.settings.credentials)) return Effect.void
      if (!passesAccess(reply, this.#loopback)) return Effect.void
      if (route === undefined) {
        if (allow.length === 0) reply.whole(404, "text/plain", "404 page not found")
        else reply.whole(405, "text/plain", "405 method not allowed", ["Allow", allow.join(", ")])
        return Effect.void
      }
      const call: EndpointCall = {
        reply,
        settings: this.settings,
        scheduler: process.scheduler,
        disk: this.disk,
        clock: this.#clock,
        parameter,
        slotDelay: this.#slotDelay,
        fault,
        number,
      }
      return route.endpoint(call)
    })
    return struck(reply, fault, route, work).pipe(
      Effect.catchTag("Failure", (failure) => Effect.sync(() => failed(failure))),
      // As Go does: a panic is a 500 without a body.
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError("the simulated Ollama failed", defect),
          Effect.sync(() => reply.headSent ? reply.finish() : reply.whole(500, undefined, "")),
        )
      ),
    )
  }
}
