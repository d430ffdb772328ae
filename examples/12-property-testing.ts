/**
 * Property tests of a scorer of your own: the contract of scorers, a property of this scorer, and a whole router with
 * simulated backends. `node examples/12-property-testing.ts`
 */
import { Effect } from "effect"
import { type Plugin, Standard, StandardProfile } from "llamero"
import { type Check, Generators, PluginContract, property, RouterContract } from "llamero/testing"

/** Prefers backends that run few requests for their parallelism. */
const quiet: Plugin.Scorer = {
  kind: "scorer",
  name: "quiet",
  score: ({ backend, streams }) => 1 / (1 + streams / backend.parallelism),
}
/** The same scorer with a mistake: its score may be above 1. */
const wrong: Plugin.Scorer = { ...quiet, score: ({ backend, streams }) => backend.parallelism / (1 + streams) }

const { scorers, ...standard } = StandardProfile.make()
const router = Standard.layer({ profile: { ...standard, scorers: [...scorers, { scorer: quiet, weight: 2 }] } })

const prefersTheQuieter = property(
  "of two equal backends, the less busy one gets the higher score",
  { situation: Generators.situations },
  ({ situation: { demand, fleet } }) =>
    Effect.sync(() => {
      for (const view of fleet.backends) {
        const busier = { ...view, streams: view.streams + 1 }
        if (quiet.score(busier, demand, fleet) >= quiet.score(view, demand, fleet)) {
          throw new Error(`${view.backend.id} has no lower score with ${busier.streams} streams`)
        }
      }
    }),
  { seed: "quiet" },
)

/** Prints a result. In a test: `for (const { name, run } of checks) test(name, () => Effect.runPromise(run))`. */
const tell = ({ name, run }: Check) =>
  Effect.match(run, {
    onFailure: ({ message }) => console.log(`not so: ${name}\n  ${/is rated [\d.]+/.exec(message)?.[0] ?? message}`),
    onSuccess: () => console.log(`ok: ${name}`),
  })

await Effect.runPromise(Effect.forEach([
  ...PluginContract.scorer(quiet),
  prefersTheQuieter,
  ...RouterContract.histories(router, { runs: 30 }),
  ...PluginContract.scorer(wrong),
], tell))
