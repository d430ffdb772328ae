/**
 * What each feature costs: `npm run bench:features [-- --rounds N] [-- --only NAME]`. Reports CPU microseconds a
 * request of the router alone: no sockets, and a backend that answers at once. Each feature is measured on and off, in
 * turns, in this process.
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { type Feature, features } from "./features/features.ts"
import { open } from "./features/router.ts"
import { type Spread, spread } from "./statistics.ts"

const { values } = parseArgs({ options: { rounds: { type: "string", default: "15" }, only: { type: "string" } } })
const rounds = Number(values.rounds)
const warm = 20_000
const counted = 5_000

const micros = ({ max, median, min }: Spread, signed = false): string => {
  const of = (value: number) => (signed && value > 0 ? "+" : "") + value.toFixed(1)
  return `${of(median)} (${of(min)}..${of(max)})`
}

const measure = async ({ load, name, with: on, without }: Feature): Promise<void> => {
  const [a, b] = [await open(without), await open(on)]
  for (const router of [a, b]) {
    // Loads the model, so that no later request waits in a queue.
    await router.measure(load, 1)
    await router.measure(load, warm)
  }
  const figures = { without: [] as Array<number>, with: [] as Array<number>, added: [] as Array<number> }
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? a : b
    const one = await first.measure(load, counted)
    const other = await (first === a ? b : a).measure(load, counted)
    const [off, with_] = first === a ? [one, other] : [other, one]
    figures.without.push(off)
    figures.with.push(with_)
    figures.added.push(with_ - off)
  }
  await a.close()
  await b.close()
  const [off, added] = [spread(figures.without)!, spread(figures.added)!]
  const share = `${(100 * added.median / off.median).toFixed(0)} %`
  console.log(`| ${name} | ${load.name} | ${micros(off)} | ${micros(added, true)} | ${share} |`)
}

console.log("| feature | load | without, us | added, us | |\n| --- | --- | --- | --- | --- |")
for (const feature of features) {
  if (values.only === undefined || feature.name.includes(values.only)) await measure(feature)
}
process.exit(0)
