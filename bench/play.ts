/** Plays the loads: which targets are started, and the order of the rounds. */
import type { Cores } from "./cores.ts"
import type { Options } from "./options.ts"
import { stopAll } from "./processes.ts"
import { quietest, watched } from "./quiet.ts"
import type { Row } from "./results.ts"
import type { Sample, Scenario } from "./scenario.ts"
import { type Instance, launch, type Target } from "./targets.ts"
import { verify } from "./verify.ts"

export const say = (text: string) => process.stderr.write(text + "\n")
export const reason = (error: unknown) => error instanceof Error ? error.message : String(error)

/** Runs a program to its end, and then ends what it has started. Idle sockets would keep it alive for seconds. */
export const program = async (main: () => Promise<void>, usage: string): Promise<never> => {
  let code = 0
  try {
    await main()
  } catch (error) {
    say(`${reason(error)}\n${usage}`)
    code = 1
  }
  await stopAll()
  process.exit(code)
}

export interface Bench {
  readonly options: Options
  readonly upstream: number
  readonly cores: Cores | undefined
  readonly results: Array<Row>
}

interface Started {
  /** Started once and kept, so that compiled code and connection pools are warm. */
  readonly instances: ReadonlyMap<string, Instance>
  /** Why the others do not run. */
  readonly failed: ReadonlyMap<string, string>
}

const startTargets = async (wanted: ReadonlyArray<Target>, { cores, upstream }: Bench): Promise<Started> => {
  const instances = new Map<string, Instance>()
  const failed = new Map<string, string>()
  for (const target of wanted) {
    try {
      const instance = await launch(target, upstream, cores?.proxy)
      instances.set(target.name, instance)
      await verify(instance)
    } catch (error) {
      say(`${target.name} is left out: ${reason(error)}`)
      await instances.get(target.name)?.child?.stop()
      instances.delete(target.name)
      failed.set(target.name, reason(error))
    }
  }
  return { instances, failed }
}

const measureFresh = async (bench: Bench, scenario: Scenario, target: Target) => {
  const cores = scenario.unpinned ? bench.cores?.all : bench.cores?.proxy
  const instance = await launch(target, bench.upstream, cores)
  try {
    return await watched(scenario, instance, bench.cores?.proxy)
  } finally {
    await instance.child?.stop()
  }
}

const measureKept = async (bench: Bench, scenario: Scenario, instance: Instance) => {
  const sample = await watched(scenario, instance, bench.cores?.proxy)
  const gone = instance.child?.gone()
  if (gone !== undefined) throw new Error(gone)
  return sample
}

/** A B C, B C A, C A B, …: a change of the machine's conditions affects all of them equally. */
export const turns = <A>(all: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const first = round % Math.max(1, all.length)
  return [...all.slice(first), ...all.slice(0, first)]
}

const summary = ({ errors, others, p99, rate, ready, rss }: Sample) =>
  [
    rate && `${rate.toFixed(0)}/s`,
    p99 && `p99 ${p99.toFixed(2)} ms`,
    ready && `ready after ${ready.toFixed(0)} ms`,
    rss && `${rss.toFixed(0)} MiB`,
    others && `others ${(others * 100).toFixed(0)} %`,
    `${errors} errors`,
  ].filter(Boolean).join(", ")

const play = async (
  bench: Bench,
  scenario: Scenario,
  { failed, instances }: Started,
  contestants: ReadonlyArray<Target>,
): Promise<void> => {
  const rows = contestants.map((target) => {
    const row: Row = { scenario: scenario.name, target: target.name, samples: [] }
    const why = failed.get(target.name)
    if (why !== undefined) row.failed = why
    return { target, row }
  })
  bench.results.push(...rows.map(({ row }) => row))

  const attempt = async (row: Row, does: () => Promise<unknown>) => {
    if (row.failed !== undefined) return
    try {
      await does()
    } catch (error) {
      row.failed = reason(error)
      say(`${scenario.name} · ${row.target} gave up: ${row.failed}`)
    }
  }
  const measure = (target: Target) =>
    scenario.fresh ? measureFresh(bench, scenario, target) : measureKept(bench, scenario, instances.get(target.name)!)

  for (const { row } of rows) {
    await attempt(row, async () => scenario.fresh || await scenario.warm?.(instances.get(row.target)!))
  }
  for (let round = 0; round < (scenario.once ? 1 : bench.options.rounds); round++) {
    for (const { row, target } of turns(rows, round)) {
      await attempt(row, async () => {
        const sample = await quietest(() => measure(target), scenario.once ? 1 : bench.options.tries)
        row.samples.push(sample)
        say(`${scenario.name} · round ${round + 1} · ${target.name}: ${summary(sample)}`)
      })
    }
  }
}

/** Plays some loads on processes of their own, which are stopped at the end. */
export const playAll = async (
  bench: Bench,
  scenarios: ReadonlyArray<Scenario>,
  present: ReadonlyArray<Target>,
  contestants: (scenario: Scenario) => ReadonlyArray<Target>,
): Promise<void> => {
  // By name: the server as it is shipped is another target of the same name, and has no backend.
  const wanted = new Set(scenarios.flatMap(contestants).map(({ name }) => name))
  const started = await startTargets(present.filter(({ name }) => wanted.has(name)), bench)
  for (const scenario of scenarios) await play(bench, scenario, started, contestants(scenario))
  for (const { child } of started.instances.values()) await child?.stop()
}
