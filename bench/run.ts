/**
 * `node bench/run.ts`: every target under every load, in turns. Prints one table, and which figures are reached and
 * which are not.
 */
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { type Cores, pin } from "./cores.ts"
import { verdicts } from "./figures.ts"
import { autocannon } from "./load/autocannon.ts"
import { wrk } from "./load/wrk.ts"
import { type Options, parse, usage } from "./options.ts"
import { stopAll, which } from "./processes.ts"
import { disturbances, quietest, watched } from "./quiet.ts"
import { table } from "./report.ts"
import { median, type Results, type Row } from "./results.ts"
import { JSON_32, type Sample, type Scenario, scenarios, TAIL_SHARE } from "./scenarios.ts"
import { buildServers, type Instance, launch, llameroLimits, startUpstream, type Target, targets } from "./targets.ts"
import { verify } from "./verify.ts"

const say = (text: string) => process.stderr.write(text + "\n")
const reason = (error: unknown) => error instanceof Error ? error.message : String(error)

interface Bench {
  readonly options: Options
  readonly upstream: number
  readonly cores: Cores | undefined
  /** Started once and kept, so that compiled code and connection pools are warm. */
  readonly instances: ReadonlyMap<string, Instance>
  readonly results: Array<Row>
}

const startTargets = async (wanted: ReadonlyArray<Target>, upstream: number, cores: Cores | undefined) => {
  const instances = new Map<string, Instance>()
  for (const target of wanted) {
    try {
      if (target.missing !== undefined) throw new Error(target.missing)
      const instance = await launch(target, upstream, cores?.proxy)
      instances.set(target.name, instance)
      await verify(instance)
    } catch (error) {
      say(`${target.name} is left out: ${reason(error)}`)
      await instances.get(target.name)?.child?.stop()
      instances.delete(target.name)
    }
  }
  return instances
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

const measureKept = async (bench: Bench, scenario: Scenario, target: Target) => {
  const instance = bench.instances.get(target.name)!
  const sample = await watched(scenario, instance, bench.cores?.proxy)
  const gone = instance.child?.gone()
  if (gone !== undefined) throw new Error(gone)
  return sample
}

/** A B C, B C A, C A B, …: a change of the machine's conditions affects all of them equally. */
const turns = <A>(all: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const first = round % Math.max(1, all.length)
  return [...all.slice(first), ...all.slice(0, first)]
}

const summary = ({ rate, p99, rss, errors, others }: Sample) =>
  [
    rate && `${rate.toFixed(0)}/s`,
    p99 && `p99 ${p99.toFixed(2)} ms`,
    rss && `${rss.toFixed(0)} MiB`,
    others && `others ${(others * 100).toFixed(0)} %`,
    `${errors} errors`,
  ].filter(Boolean).join(", ")

const play = async (bench: Bench, scenario: Scenario, contestants: ReadonlyArray<Target>): Promise<void> => {
  const rows = contestants.map((target) => ({
    target,
    row: { scenario: scenario.name, target: target.name, samples: [] } as Row,
  }))
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

  for (const { row } of rows) {
    await attempt(row, async () => scenario.fresh || await scenario.warm?.(bench.instances.get(row.target)!))
  }
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const { target, row } of turns(rows, round)) {
      await attempt(row, async () => {
        const sample = await quietest(() => (scenario.fresh ? measureFresh : measureKept)(bench, scenario, target))
        row.samples.push(sample)
        say(`${scenario.name} · round ${round + 1} · ${target.name}: ${summary(sample)}`)
      })
    }
  }
}

const tailRate = (results: Results): number => {
  const sustained = median(results, JSON_32, "node-http", "rate")
  if (sustained === undefined) {
    throw new Error("the rate of the latency load is a share of the sustained rate of node-http: include that target")
  }
  return sustained * TAIL_SHARE
}

const machine = (cores: Cores | undefined, load: string) => [
  `${cpus()[0]?.model.trim()} x ${cpus().length}, ${process.platform}, Node ${process.version}, load from ${load}`,
  cores
    ? `cores: load ${cores.load}, upstream ${cores.upstream}, proxy ${cores.proxy}`
    : "cores: not pinned (needs taskset and two cores); the figures mean little",
  `llamero with ${Object.entries(llameroLimits).map((pair) => pair.join("=")).join(" ")}`,
]

const main = async () => {
  const options = parse(process.argv.slice(2), targets.map(({ name }) => name))
  buildServers()
  const wrkFile = which("wrk")
  const cores = await pin()
  const about = machine(cores, wrkFile ? "wrk" : "autocannon")
  about.forEach(say)

  const upstream = await startUpstream(cores?.upstream)
  const wanted = targets.filter(({ name }) => options.targets === undefined || options.targets.includes(name))
  const instances = await startTargets(wanted, upstream, cores)
  const present = wanted.filter(({ name }) => instances.has(name))
  const bench: Bench = { options, upstream, cores, instances, results: [] }

  const all = scenarios(options, wrkFile ? wrk(wrkFile) : autocannon, () => tailRate(bench.results))
  const played = all.filter(({ group, name }) => options.only.includes(group) || calibrates(options, name))
  for (const scenario of played) {
    const contestants = scenario.targets(present)
    // The rate of the latency load is node-http's sustained rate, so the JSON load is needed for it.
    const needed = options.only.includes(scenario.group)
      ? contestants
      : contestants.filter(({ name }) => name === "node-http")
    await play(bench, scenario, needed)
  }

  const judged = verdicts(bench.results)
  const disturbed = disturbances(bench.results.flatMap(({ samples }) => samples))
  const lines = [...about, "", table(bench.results, played), "", ...judged.map(({ text }) => text)]
  console.log([...lines, ...(disturbed === undefined ? [] : ["", disturbed])].join("\n"))
  if (options.json !== undefined) {
    const written = { at: new Date().toISOString(), about, options, results: bench.results, verdicts: judged }
    writeFileSync(options.json, JSON.stringify(written, undefined, 2) + "\n")
  }
}

const calibrates = (options: Options, scenario: string) => options.only.includes("tail") && scenario === JSON_32

let code = 0
try {
  await main()
} catch (error) {
  say(`${reason(error)}\n${usage}`)
  code = 1
}
await stopAll()
// Idle sockets would keep the process alive for seconds.
process.exit(code)
