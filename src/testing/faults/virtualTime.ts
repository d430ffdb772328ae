/**
 * A clock and a scheduler that run a program in one synchronous loop, from one timer to the next, without the real
 * event loop.
 */
import { Clock, Context, Duration, Effect, Scheduler } from "effect"

interface Sleeper {
  readonly at: number
  /** Sleepers with equal times wake in the order in which they went to sleep. */
  readonly order: number
  wake: (() => void) | undefined
}

const before = (a: Sleeper, b: Sleeper): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap with the first sleeper to wake at the top. */
class Sleepers {
  private readonly heap: Array<Sleeper> = []
  get first(): Sleeper | undefined {
    return this.heap[0]
  }
  push(one: Sleeper): void {
    const { heap } = this
    let i = heap.push(one) - 1
    for (let up = (i - 1) >> 1; i > 0 && before(one, heap[up]!); i = up, up = (i - 1) >> 1) heap[i] = heap[up]!
    heap[i] = one
  }
  pop(): void {
    const { heap } = this
    const last = heap.pop()!
    const size = heap.length
    if (size === 0) return
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      if (down >= size) break
      if (down + 1 < size && before(heap[down + 1]!, heap[down]!)) down++
      if (!before(heap[down]!, last)) break
      heap[i] = heap[down]!
      i = down
    }
    heap[i] = last
  }
}

/** Tasks that may run without time passing. More than these come from fibers that run each other for ever. */
const tasksMax = 1_000_000

/**
 * Means the same as `TestClock` and costs less: `TestClock` waits for the real event loop after each sleeper, which
 * takes 10 microseconds and more. Fibers that run under `context` share one queue, so they run in the order in which
 * they were scheduled.
 */
export class VirtualTime implements Clock.Clock {
  /** Milliseconds since the program began. Never goes back. */
  elapsed = 0
  /** Milliseconds to add for the time of day. A change of it is a jump of the clock. */
  offset = Date.UTC(2026, 0, 1)
  private readonly sleepers = new Sleepers()
  private order = 0
  private tasks: Array<() => void> = []
  readonly context: Context.Context<never>

  constructor() {
    const dispatcher = {
      scheduleTask: (task: () => void) => void this.tasks.push(task),
      flush: () => this.settle(),
    }
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= 2048,
      makeDispatcher: () => dispatcher,
    }
    this.context = Context.make(Clock.Clock, this).pipe(Context.add(Scheduler.Scheduler, scheduler))
  }

  /** Runs every task that can run now. Throws when they never end. */
  settle(): void {
    for (let count = 0; this.tasks.length > 0;) {
      const tasks = this.tasks
      this.tasks = []
      count += tasks.length
      if (count > tasksMax) throw new Error(`fibers have run ${tasksMax} tasks, and no time has passed`)
      for (let i = 0; i < tasks.length; i++) tasks[i]!()
    }
  }

  /** Runs all tasks and sleepers up to a time, in order. */
  runUntil(elapsed: number): void {
    this.settle()
    for (let next = this.sleepers.first; next !== undefined && next.at <= elapsed; next = this.sleepers.first) {
      this.sleepers.pop()
      if (next.wake === undefined) continue
      this.elapsed = next.at
      next.wake()
      this.settle()
    }
    this.elapsed = elapsed
  }

  /** Calls `what` after this many milliseconds. */
  at(millis: number, what: () => void): void {
    this.sleepers.push({ at: this.elapsed + millis, order: this.order++, wake: what })
  }

  currentTimeMillisUnsafe(): number {
    return this.elapsed + this.offset
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.floor(this.currentTimeMillisUnsafe())) * 1_000_000n
  }
  monotonicTimeNanosUnsafe(): bigint {
    return BigInt(Math.floor(this.elapsed * 1000)) * 1000n
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    return Effect.callback<void>((resume) => {
      const sleeper: Sleeper = { at: this.elapsed + millis, order: this.order++, wake: () => resume(Effect.void) }
      this.sleepers.push(sleeper)
      return Effect.sync(() => {
        sleeper.wake = undefined
      })
    })
  }
}
