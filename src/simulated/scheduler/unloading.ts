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

/** The parts of the scheduler that unloading needs. */
interface Owner {
  readonly settings: Settings
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly memory: GpuMemory
  readonly loaded: Map<string, Runner>
  readonly counts: { unloads: number }
}

/**
 * Keep-alive timers, and one unload at a time: Ollama waits until the memory is free before it goes on.
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

  /** Waits until the next unload is over. */
  get next(): Effect.Effect<void> {
    return Deferred.await(this.#unloaded)
  }

  /**
   * The runner has no more requests: it is unloaded, or its keep-alive starts. One fiber follows it, however often it
   * becomes idle.
   */
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

  /** Unloads a runner when its turn comes. A busy one stays, and is unloaded after its last request. */
  expire(runner: Runner): void {
    if (runner.dead || runner.expiring || runner.refs > 0) return
    runner.expiring = true
    this.#queue.push(runner)
    if (this.#queue.length === 1) this.#owner.fork(this.#unloadAll)
  }

  /** Unloads every model, and waits for it; not longer than somebody is there who wants it. */
  all(gone: () => boolean): Effect.Effect<void> {
    const { loaded } = this.#owner
    return Effect.gen({ self: this }, function* () {
      while (loaded.size > 0 && !gone()) {
        // Read before `expire`: an unload without GPU memory is over at once.
        const unloaded = this.next
        for (const runner of loaded.values()) {
          runner.session = 0
          this.expire(runner)
        }
        yield* unloaded
      }
    })
  }

  /** The runner's process has died. */
  crash(runner: Runner): void {
    this.#drop(runner)
    this.#signal()
  }

  /** Releases memory. The driver shows it as free later. */
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
      // A request came while the runner waited for its turn: it is unloaded after that request, for any keep-alive.
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
      // Ollama checks every 250 ms whether the driver shows the memory as free, for at most 5 s.
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
