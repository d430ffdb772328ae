/**
 * `node bench/run.ts`: every target under every load, in turns. Prints a table for each group of loads, and which
 * figures are reached and which are not.
 */
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { type Cores, pin } from "./cores.ts"
import { verdicts } from "./figures.ts"
import { autocannon } from "./load/autocannon.ts"
import { wrk } from "./load/wrk.ts"
import { type Group, type Options, parse, usage } from "./options.ts"
import { type Bench, playAll, program, say } from "./play.ts"
import { which } from "./processes.ts"
import { disturbances } from "./quiet.ts"
import { notes, tables, verdictTable } from "./report.ts"
import { median, type Results } from "./results.ts"
import { JSON_32, type Scenario, TAIL_SHARE } from "./scenario.ts"
import { scenarios } from "./scenarios.ts"
import { buildServers, llameroLimits, startUpstream, type Target, targets } from "./targets.ts"

const tailRate = (results: Results) => (json32: string, reference: string): number => {
  const sustained = median(results, json32, reference, "rate")
  if (sustained === undefined) {
    throw new Error(`the rate of the latency load is a share of what ${reference} can do: include that target`)
  }
  return sustained * TAIL_SHARE
}

const machine = (options: Options, cores: Cores | undefined, load: string) => [
  `${cpus()[0]?.model.trim()} x ${cpus().length}, ${process.platform}, Node ${process.version}, load from ${load}`,
  cores
    ? `cores: load ${cores.load}, upstream ${cores.upstream}, proxy ${cores.proxy}`
    : "cores: not pinned (needs taskset and two cores); the figures mean little",
  `medians of ${options.rounds} rounds of ${options.seconds} s, with lowest and highest round`,
  `aging: 2,000 slow streams, then ${options.ageSeconds} s of mixed load`,
  `llamero with ${Object.entries(llameroLimits).map((pair) => pair.join("=")).join(" ")}`,
]

/** Groups that are played on the same processes. Aged processes are no good for other loads. */
const stages: ReadonlyArray<(group: Group) => boolean> = [
  (group) => group !== "aged" && group !== "deno" && group !== "observed",
  (group) => group === "observed",
  (group) => group === "aged",
  (group) => group === "deno",
]

const chosen = ({ options }: Bench): ReadonlyArray<Target> => {
  const asked = targets.filter(({ name }) => options.targets === undefined || options.targets.includes(name))
  for (const { missing, name } of asked) if (missing !== undefined) say(`${name} is left out: ${missing}`)
  return asked.filter(({ missing }) => missing === undefined)
}

/** The rate of the latency load is a share of what node-http sustains, so the JSON load is needed for it. */
const calibrates = (options: Options, scenario: Scenario) =>
  options.only.includes("tail") && scenario.name === JSON_32 && !options.only.includes(scenario.group)

const playGroups = async (bench: Bench, all: ReadonlyArray<Scenario>) => {
  const present = chosen(bench)
  const contestants = (scenario: Scenario) => {
    const contest = scenario.targets(present)
    return calibrates(bench.options, scenario) ? contest.filter(({ name }) => name === "node-http") : contest
  }
  for (const stage of stages) {
    const played = all.filter(({ group }) => stage(group))
    if (played.length > 0) await playAll(bench, played, present, contestants)
  }
}

const report = (about: ReadonlyArray<string>, bench: Bench, played: ReadonlyArray<Scenario>) => {
  const { options, results } = bench
  const judged = verdicts(results)
  const disturbed = disturbances(results.flatMap(({ samples }) => samples), options.tries)
  const remarks = [...notes(results), ...(disturbed === undefined ? [] : [disturbed])].map((note) => `- ${note}`)
  const parts = [about.map((line) => `- ${line}`).join("\n"), tables(results, played), verdictTable(judged)]
  console.log([...parts, ...(remarks.length > 0 ? [remarks.join("\n")] : [])].join("\n\n"))
  if (options.json !== undefined) {
    const written = { at: new Date().toISOString(), about, options, results, verdicts: judged }
    writeFileSync(options.json, JSON.stringify(written, undefined, 2) + "\n")
  }
}

const main = async () => {
  const options = parse(process.argv.slice(2), targets.map(({ name }) => name))
  buildServers()
  const wrkFile = which("wrk")
  const cores = await pin()
  const about = machine(options, cores, wrkFile ? "wrk" : "autocannon")
  about.forEach(say)

  const bench: Bench = { options, upstream: await startUpstream(cores?.upstream), cores, results: [] }
  const closedLoop = wrkFile ? wrk(wrkFile) : autocannon
  const all = scenarios({ options, closedLoop, tailRate: tailRate(bench.results) })
    .filter((scenario) => options.only.includes(scenario.group) || calibrates(options, scenario))
  await playGroups(bench, all)
  report(about, bench, all)
}

await program(main, usage)
