/**
 * Ollama's scheduler: which models are in memory, and which requests wait for one.
 *
 * @since 0.1.0
 */
import { type Clock, Deferred, Effect } from "effect"
import { busyText } from "../faults/faults.ts"
import { Failure } from "../http/failure.ts"
import type { SimulatedModel } from "../models/model.ts"
import type { Settings } from "../settings.ts"
import { expiry } from "../go/time.ts"
import type { SimulatedGpu } from "./gpu.ts"
import { GpuMemory, predicted } from "./gpuMemory.ts"
import { defaultContext, needsReload, parallelismOf } from "./options.ts"
import { mayRetry, type ScheduledRequest, type Wanted } from "./request.ts"
import { grant, Runner, wait } from "./runner.ts"
import { Unloading } from "./unloading.ts"

const outOfMemory = "llama-server process has terminated: exit status 1: cudaMalloc failed: out of memory"

/**
 * The scheduler of one server process. It ends with the process.
 *
 * @category models
 * @since 0.1.0
 */
export class Scheduler {
  readonly settings: Settings
  readonly clock: Clock.Clock
  /** Forks a fiber that lives at most as long as the process. */
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly memory: GpuMemory
  readonly loaded: Map<string, Runner> = new Map()
  /** The model that is loading. It is not in `/api/ps`. */
  loading: SimulatedModel | undefined = undefined
  readonly counts = { loads: 0, unloads: 0, loadsKilled: 0, reloads: 0 }
  readonly #pending: Array<ScheduledRequest> = []
  #pumping = false
  readonly #unloading: Unloading

  constructor(
    settings: Settings,
    gpus: ReadonlyArray<SimulatedGpu>,
    clock: Clock.Clock,
    fork: (effect: Effect.Effect<void>) => void,
  ) {
    this.settings = settings
    this.clock = clock
    this.fork = fork
    this.memory = new GpuMemory(gpus, settings.systemMemory)
    this.#unloading = new Unloading(this)
  }

  /** Requests that wait to be scheduled. `OLLAMA_MAX_QUEUE` limits their number. */
  get pending(): number {
    return this.#pending.length
  }

  /** The context of a model when neither the request nor the model gives one. */
  get automaticContext(): number {
    return this.settings.contextLength ?? defaultContext(this.settings.gpus.reduce((sum, total) => sum + total, 0))
  }

  /** Waits for a runner that can serve a request, and runs an effect with it. */
  use<A, E>(wanted: Wanted, effect: (runner: Runner) => Effect.Effect<A, E>): Effect.Effect<A, E | Failure> {
    return Effect.uninterruptibleMask((restore) => {
      const request: ScheduledRequest = {
        wanted,
        options: wanted.options,
        oomRetried: false,
        runner: undefined,
        failure: undefined,
        gone: false,
        left: Deferred.makeUnsafe(),
        state: "waiting",
        wake: undefined,
      }
      const ready = this.#enter(request)
      const run: Effect.Effect<A, E | Failure> = Effect.suspend((): Effect.Effect<A, E | Failure> =>
        request.runner === undefined ? Effect.fail(request.failure ?? canceled()) : effect(request.runner)
      )
      return Effect.ensuring(
        restore(ready ? run : Effect.andThen(wait(request), run)),
        Effect.sync(() => this.#leave(request)),
      )
    })
  }

  /** Unloads a model as soon as it is idle. */
  unload(model: SimulatedModel): void {
    const runner = this.loaded.get(model.blob)
    if (runner === undefined) return
    runner.expiresAt = this.clock.currentTimeMillisUnsafe()
    runner.session = 0
    this.#unloading.expire(runner)
  }

  /** Ends the runner's process: its requests fail, its memory is free, and the next request loads the model again. */
  crash(runner: Runner): void {
    if (!runner.dead) this.#unloading.crash(runner)
  }

  #enter(request: ScheduledRequest): boolean {
    const { wanted } = request
    const runner = this.loaded.get(wanted.model.blob)
    if (runner !== undefined && !needsReload(runner.options, wanted.options)) {
      this.#grant(request, runner)
      return true
    }
    if (this.#pumping && this.#pending.length >= this.settings.maxQueue) {
      request.failure = new Failure({ status: 503, text: busyText })
      request.state = "done"
      return true
    }
    this.#pending.push(request)
    if (!this.#pumping) {
      this.#pumping = true
      this.fork(this.#pump)
    }
    return request.state !== "waiting"
  }

  #grant(request: ScheduledRequest, runner: Runner): void {
    runner.refs++
    if (request.wanted.keepAlive !== undefined) runner.session = request.wanted.keepAlive
    request.runner = runner
    grant(request)
  }

  #leave(request: ScheduledRequest): void {
    if (request.state === "waiting") {
      // Its place in the queue stays taken until its turn comes, as in Ollama.
      request.gone = true
      Deferred.doneUnsafe(request.left, Effect.void)
    }
    const runner = request.runner
    if (request.state === "holding" && runner !== undefined) {
      runner.refs--
      if (runner.refs <= 0 && !runner.dead) {
        this.#unloading.idle(runner)
      }
    }
    request.state = "done"
  }

  readonly #pump: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (let request = this.#pending.shift(); request !== undefined; request = this.#pending.shift()) {
      yield* this.#place(request)
    }
    this.#pumping = false
  })

  /** Gets one request running. Every request behind it waits, for any model. */
  #place(request: ScheduledRequest): Effect.Effect<void> {
    const { model } = request.wanted
    return Effect.gen({ self: this }, function* () {
      while (!request.gone) {
        const { options } = request
        const runner = this.loaded.get(model.blob)
        let victim: Runner | undefined
        if (runner !== undefined) {
          if (!needsReload(runner.options, options)) return this.#grant(request, runner)
          this.counts.reloads++
          victim = runner
        } else if (this.settings.maxLoaded > 0 && this.loaded.size >= this.settings.maxLoaded) {
          victim = this.#victim()
        } else {
          const need = predicted(model, options, parallelismOf(model, this.settings.parallelism))
          const choice = this.memory.choose(need, options)
          if (choice.fits || this.loaded.size === 0) {
            if (yield* this.#load(request, choice.group)) return
            yield* this.#unloading.all(() => request.gone)
            continue
          }
          victim = this.#victim()
        }
        if (victim === undefined) continue
        // Read before `expire`: an unload without GPU memory is over at once.
        const unloaded = this.#unloading.next
        victim.session = 0
        this.#unloading.expire(victim)
        yield* unloaded
      }
    })
  }

  /**
   * The model to unload. Order: shortest keep-alive, then blob path. The first idle one; if none is idle, the first of
   * all, and the caller waits for it.
   */
  #victim(): Runner | undefined {
    const sorted = Array.from(this.loaded.values()).sort((a, b) =>
      a.session === b.session ? (a.model.blob < b.model.blob ? -1 : 1) : a.session - b.session
    )
    return sorted.find((runner) => runner.refs === 0) ?? sorted[0]
  }

  /** Loads the model of a request. `false`: out of memory, and it is tried again with all other models unloaded. */
  #load(request: ScheduledRequest, group: ReadonlyArray<number>): Effect.Effect<boolean> {
    const { keepAlive, model } = request.wanted
    const { options } = request
    const parallelism = parallelismOf(model, this.settings.parallelism)
    const allocation = this.memory.allocate(model, options, parallelism, group)
    if (allocation === undefined) {
      if (mayRetry(request, this.settings.parallelism, this.loaded.size)) return Effect.succeed(false)
      request.failure = new Failure({ status: 500, text: outOfMemory })
      grant(request)
      return Effect.succeed(true)
    }
    return Effect.gen({ self: this }, function* () {
      this.counts.loads++
      this.loading = model
      const time = this.settings.loadTime + model.size / this.settings.loadBandwidth * 1000
      if (time > 0) yield* Effect.raceFirst(Effect.sleep(Math.ceil(time)), Deferred.await(request.left))
      this.loading = undefined
      if (request.gone) {
        // The load belonged to this client. The next request in the queue starts a new one.
        this.counts.loadsKilled++
        this.#unloading.free(allocation)
        return true
      }
      const gpus = this.memory.holding(allocation)
      const runner = new Runner(model, options, parallelism, allocation, gpus, keepAlive ?? this.settings.keepAlive)
      runner.expiresAt = expiry(this.clock.currentTimeMillisUnsafe(), runner.session)
      this.loaded.set(model.blob, runner)
      this.#grant(request, runner)
      return true
    })
  }
}

const canceled = (): Failure => new Failure({ status: 499, text: "request canceled" })
