/**
 * How models leave a simulated server's memory.
 *
 * @since 0.1.0
 */
import { type Clock, Deferred, Effect } from "effect"
import type { Settings } from "../settings.ts"
import { expiry } from "../go/time.ts"
import type { Allocation, GpuMemory } from "./gpuMemory.ts"
import type { Runner } from "./runner.ts"

/** What of the scheduler unloading works on. */
interface Owner {
  readonly settings: Settings
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly memory: GpuMemory
  readonly loaded: Map<string, Runner>
  readonly counts: { unloads: number }
}

/**
 * Keep-alives, and one unload at a time: Ollama's completion loop waits for memory to come back before it goes on.
 *
 * @category models
 * @since 0.1.0
 */
export class Unloading {
  readonly #owner: Owner
  readonly #queue: Array<Runner> = []
  #unloaded = Deferred.makeUnsafe<void>()

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Waits for the next unload to be over. */
  get next(): Effect.Effect<void> {
    return Deferred.await(this.#unloaded)
  }

  /** A runner has no more requests: it goes now, or its keep-alive starts. One fiber follows it, however often it goes idle. */
  idle(runner: Runner): void {
    if (runner.doomed || runner.session <= 0) return this.expire(runner)
    const { clock, fork } = this.#owner
    runner.expiresAt = expiry(clock.currentTimeMillisUnsafe(), runner.session)
    if (runner.session === Infinity || runner.timerAt <= runner.expiresAt) return
    const at = runner.timerAt = runner.expiresAt
    fork(Effect.gen({ self: this }, function* () {
      let next = at
      while (runner.timerAt === next && !runner.dead) {
        yield* Effect.sleep(next - clock.currentTimeMillisUnsafe())
        if (runner.timerAt !== next) return
        runner.timerAt = Infinity
        if (runner.dead || runner.refs > 0 || runner.session === Infinity) return
        if (clock.currentTimeMillisUnsafe() >= runner.expiresAt) return this.expire(runner)
        next = runner.timerAt = runner.expiresAt
      }
    }))
  }

  /** Unloads a runner when its turn comes. A busy one stays: the last request to leave comes here again. */
  expire(runner: Runner): void {
    if (runner.dead || runner.expiring || runner.refs > 0) return
    runner.expiring = true
    this.#queue.push(runner)
    if (this.#queue.length === 1) this.#owner.fork(this.#unloadAll)
  }

  /** The runner's process has died. */
  crash(runner: Runner): void {
    this.#drop(runner)
    this.#signal()
  }

  /** Gives memory back; the driver takes its time over it. */
  free(allocation: Allocation): void {
    const { fork, memory, settings: { releaseTime } } = this.#owner
    const release = () => memory.release(allocation)
    if (releaseTime === 0 || allocation.vram === 0) release()
    else if (releaseTime < Infinity) fork(Effect.andThen(Effect.sleep(releaseTime), Effect.sync(release)))
  }

  #drop(runner: Runner): void {
    runner.dead = true
    this.#owner.loaded.delete(runner.model.blob)
    this.free(runner.allocation)
  }

  #signal(): void {
    const unloaded = this.#unloaded
    this.#unloaded = Deferred.makeUnsafe()
    Deferred.doneUnsafe(unloaded, Effect.void)
  }

  readonly #unloadAll: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (let runner = this.#queue[0]; runner !== undefined; runner = this.#queue[0]) {
      runner.expiring = false
      // Someone came while it waited for its turn: it goes when they have gone, whatever keep-alive they bring.
      if (runner.refs > 0) runner.doomed = true
      else if (!runner.dead) yield* this.#unload(runner)
      this.#queue.shift()
    }
  })

  #unload(runner: Runner): Effect.Effect<void> {
    const { counts, memory } = this.#owner
    const before = memory.free
    counts.unloads++
    this.#drop(runner)
    const { vram } = runner.allocation
    return Effect.gen({ self: this }, function* () {
      // Ollama does not trust the driver: it looks every 250 ms whether the memory is back, for 5 s at most.
      if (vram > 0) {
        for (let waited = 0; waited < 5000; waited += 250) {
          yield* Effect.sleep(250)
          if (memory.free - before >= 0.75 * vram) break
        }
      }
      this.#signal()
    })
  }
}
