/**
 * The metrics of guards.
 *
 * @since 0.1.0
 */
import { type Context, Metric } from "effect"

type Labels = Readonly<Record<string, string>>

const verdicts = (attributes: Labels) =>
  Metric.counter("llamero_guard_verdicts_total", {
    description: "Requests that a guard let pass, refused, or failed on",
    incremental: true,
    attributes,
  })
const durations = (attributes: Labels) =>
  Metric.histogram("llamero_guard_duration_seconds", {
    description: "Duration of a guard's check; of checks that need no I/O every 64th is measured",
    boundaries: [0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1, 5],
    attributes,
  })

/** Reading the clock takes longer than most checks. */
const sampleEvery = 64

/** The metrics of one guard. Each series is made once, not for each request. @internal */
export class GuardMeter {
  private checks = 0
  private readonly context: Context.Context<never>
  private readonly passed: Metric.Counter<number>
  private readonly refused: Metric.Counter<number>
  private readonly failed: Metric.Counter<number>
  private readonly duration: Metric.Histogram<number>

  constructor(guard: string, context: Context.Context<never>) {
    this.context = context
    this.passed = verdicts({ guard, verdict: "pass" })
    this.refused = verdicts({ guard, verdict: "refuse" })
    this.failed = verdicts({ guard, verdict: "fail" })
    this.duration = durations({ guard })
  }

  /** Whether to measure this check. */
  isSampled(): boolean {
    return this.checks++ % sampleEvery === 0
  }
  pass(): void {
    this.passed.updateUnsafe(1, this.context)
  }
  refuse(): void {
    this.refused.updateUnsafe(1, this.context)
  }
  fail(): void {
    this.failed.updateUnsafe(1, this.context)
  }
  took(nanos: bigint): void {
    this.duration.updateUnsafe(Number(nanos) / 1e9, this.context)
  }
}
