/**
 * `npm run bench:peers`: llamero beside the other routers and proxies that are installed, on one core and in turns.
 * Prints tables in Markdown.
 */
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { type Cores, pin } from "./cores.ts"
import { autocannon } from "./load/autocannon.ts"
import { wrk } from "./load/wrk.ts"
import { check, type Checked, type Entry, stillAnswers } from "./peers/check.ts"
import { type Load, loads, type PeerSample, untilQuiet } from "./peers/loads.ts"
import { type Options, parse, usage } from "./peers/options.ts"
import { type Api, apis, direct, type Peer, peers } from "./peers/peers.ts"
import { type Line, report } from "./peers/report.ts"
import { program, reason, say, turns } from "./play.ts"
import { which } from "./processes.ts"
import { disturbances, quietest, watched } from "./quiet.ts"
import { buildServers, launch, llameroLimits, startUpstream } from "./targets.ts"

interface Bench {
  readonly options: Options
  readonly upstream: number
  readonly cores: Cores | undefined
  readonly loads: ReadonlyArray<Load>
}

/** A peer on one API: the running process, and everything that was measured. */
interface Contestant {
  readonly peer: Peer
  entry: Entry
  readonly line: Line
}

const enter = async ({ cores, upstream }: Bench, peer: Peer, api: Api): Promise<Entry> => ({
  instance: await launch(peer.target, upstream, cores?.proxy),
  api,
  path: peer.paths[api]!,
  headers: peer.headers?.(upstream) ?? {},
})

const start = async (bench: Bench, peer: Peer, api: Api): Promise<Contestant | undefined> => {
  const { name } = peer.target
  try {
    const entry = await enter(bench, peer, api)
    const checked = await check(entry)
    const line: Line = { name, api, version: peer.version(), checked, samples: {}, failed: {}, restarts: 0 }
    say(`${name} ${line.version} on ${api}: ${told(checked)}`)
    return { peer, entry, line }
  } catch (error) {
    say(`${name} is left out: ${reason(error)}`)
    return undefined
  }
}

const told = ({ firstChunkMs, json, stream }: Checked) => {
  const say = (result: string | Error) => result instanceof Error ? result.message : result
  const first = firstChunkMs instanceof Error ? firstChunkMs : `${firstChunkMs.toFixed(0)} ms`
  return `JSON: ${say(json)}; stream: ${say(stream)}; first chunk of a slow stream: ${say(first)}`
}

/** The upstream itself is measured only to know what the others add to its times. */
const takesPart = ({ peer, line }: Contestant, { group, needs }: Load): boolean => {
  if (peer === direct) return group === "paced"
  const answer = line.checked[needs]
  if (answer instanceof Error) line.failed[group] = answer.message
  return !(answer instanceof Error)
}

/**
 * A load ends by closing its connections. A peer that takes this for a failure of its upstream refuses what comes next,
 * and refusals must not be measured.
 */
const recover = async (bench: Bench, contestant: Contestant): Promise<void> => {
  const { entry, line, peer } = contestant
  await untilQuiet(entry.instance)
  const gone = entry.instance.child?.gone()
  if (gone !== undefined) throw new Error(gone)
  if (await stillAnswers(entry)) return
  line.restarts++
  say(`${line.name} refuses requests and is started again`)
  await entry.instance.child?.stop()
  contestant.entry = await enter(bench, peer, entry.api)
  await check(contestant.entry)
}

const WRONG_SHARE = 0.05

const measure = async (bench: Bench, load: Load, contestant: Contestant): Promise<PeerSample> => {
  const round = async (at: Entry) => {
    const sample = await watched({ measure: () => load.measure(at) }, at.instance, bench.cores?.proxy)
    if (sample.errors > WRONG_SHARE * (sample.rate ?? 0) * bench.options.seconds) {
      throw new Error(`${sample.errors} errors at ${sample.rate?.toFixed(0)} answers a second`)
    }
    return sample
  }
  if (!load.fresh) {
    return await quietest(async () => {
      const sample = await round(contestant.entry)
      await recover(bench, contestant)
      return sample
    }, bench.options.tries)
  }
  const fresh = await enter(bench, contestant.peer, contestant.entry.api)
  try {
    await check(fresh)
    return await round(fresh)
  } finally {
    await fresh.instance.child?.stop()
  }
}

const summary = ({ rate, p50, p99, rss, served, others }: PeerSample) =>
  [
    rate && `${rate.toFixed(0)}/s`,
    p50 && `p50 ${p50.toFixed(2)} ms`,
    p99 && `p99 ${p99.toFixed(2)} ms`,
    rss && `${rss.toFixed(0)} MiB`,
    served !== undefined && `${served} streams`,
    others && `others ${(others * 100).toFixed(0)} %`,
  ].filter(Boolean).join(", ")

const play = async (bench: Bench, load: Load, all: ReadonlyArray<Contestant>): Promise<void> => {
  const contestants = all.filter((contestant) => takesPart(contestant, load))
  const attempt = async ({ line }: Contestant, does: () => Promise<unknown>) => {
    if (line.failed[load.group] !== undefined) return
    try {
      await does()
    } catch (error) {
      line.failed[load.group] = reason(error)
      say(`${load.group} · ${line.name} gave up: ${reason(error)}`)
    }
  }
  for (const contestant of contestants) {
    await attempt(contestant, async () => {
      await load.warm?.(contestant.entry)
      await recover(bench, contestant)
    })
  }
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const contestant of turns(contestants, round)) {
      await attempt(contestant, async () => {
        const sample = await measure(bench, load, contestant)
        ;(contestant.line.samples[load.group] ??= []).push(sample)
        say(`${load.group} · round ${round + 1} · ${contestant.line.name}: ${summary(sample)}`)
      })
    }
  }
}

const compete = async (bench: Bench, api: Api, wanted: ReadonlyArray<Peer>): Promise<ReadonlyArray<Line>> => {
  const contestants: Array<Contestant> = []
  for (const peer of [...wanted, direct]) {
    const contestant = peer.paths[api] === undefined ? undefined : await start(bench, peer, api)
    if (contestant !== undefined) contestants.push(contestant)
  }
  for (const load of bench.loads) {
    say(`${api} · ${load.group}`)
    await play(bench, load, contestants)
  }
  await Promise.all(contestants.map(({ entry }) => entry.instance.child?.stop()))
  return contestants.map(({ line }) => line)
}

/** Without a peer that serves only this API, the other one has the same comparison. */
const apisOf = (present: ReadonlyArray<Peer>): ReadonlyArray<Api> => {
  const needed = apis.filter((api) =>
    present.some(({ paths }) => paths[api] !== undefined && Object.keys(paths).length === 1)
  )
  return needed.length === 0 ? apis : needed
}

/** JSON has no errors. */
const plain = (_key: string, value: unknown) => value instanceof Error ? value.message : value

const machine = (cores: Cores | undefined, load: string) => [
  `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model.trim()} x ${cpus().length}, ${process.platform}, ` +
  `Node ${process.version}, load from ${load}`,
  cores
    ? `cores: load ${cores.load}, upstream ${cores.upstream}, proxy ${cores.proxy}`
    : "cores: not pinned (needs taskset and two cores); the figures mean little",
  `llamero with ${Object.entries(llameroLimits).map((pair) => pair.join("=")).join(" ")}`,
]

const main = async () => {
  const options = parse(process.argv.slice(2), peers.map(({ target }) => target.name))
  const asked = peers.filter(({ target }) => options.peers.includes(target.name))
  const missing = asked.filter(({ target }) => target.missing !== undefined)
  const skipped = missing.map(({ target }) => `skipped: ${target.name}, ${target.missing}`)
  skipped.forEach(say)
  buildServers()
  const wrkFile = which("wrk")
  const cores = await pin()
  const about = machine(cores, wrkFile ? "wrk" : "autocannon")
  const played = loads(wrkFile ? wrk(wrkFile) : autocannon, options)
    .filter(({ group }) => options.only.includes(group))
  const bench: Bench = { options, cores, loads: played, upstream: await startUpstream(cores?.upstream) }

  const lines: Array<Line> = []
  const present = asked.filter((peer) => !missing.includes(peer))
  for (const api of apisOf(present)) lines.push(...await compete(bench, api, present))

  const samples = lines.flatMap((line) => Object.values(line.samples).flat())
  const disturbed = disturbances(samples, options.tries)
  const notes = [...skipped, ...(disturbed === undefined ? [] : [disturbed])]
  console.log([...about, "", report(lines, played, options.streams), "", ...notes].join("\n"))
  if (options.json !== undefined) {
    writeFileSync(options.json, JSON.stringify({ about, options, lines, notes }, plain, 2) + "\n")
  }
}

await program(main, usage)
