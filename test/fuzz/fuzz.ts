/** Runs clients of all kinds against worlds, and shrinks what fails to the fewest and shortest requests. */
import { Effect, Exit, Scope } from "effect"
import * as fc from "fast-check"
import process from "node:process"
import { type Client, clients } from "./requests.ts"
import * as World from "./world.ts"

/** Real milliseconds after which a fault is not shrunk further. */
const shrinkMillis = 60_000

/** Longer than anything takes; and shorter while a fault is shrunk, as the same hang is looked for again and again. */
const patience = { run: 20_000, shrink: 3000 }

/**
 * Rejects with the seed, the path and the smallest requests that fail. `FUZZ_SEED` and `FUZZ_PATH` in the environment
 * repeat what was printed.
 */
export const fuzz = (seed: number, runs: number): Effect.Effect<World.Tally> =>
  Effect.promise(async () => {
    const tally: World.Tally = { requests: 0, succeeded: 0, compared: 0, aborted: 0 }
    let shrinkUntil = Infinity
    let current: { readonly world: World.World; readonly scope: Scope.Closeable } | undefined
    const enter = async () => {
      const scope = Scope.makeUnsafe()
      const millis = shrinkUntil === Infinity ? patience.run : patience.shrink
      return { scope, world: await Effect.runPromise(Scope.provide(World.make({ millis }, tally), scope)) }
    }
    const leave = async () => {
      const left = current
      current = undefined
      if (left !== undefined) await Effect.runPromise(Scope.close(left.scope, Exit.void))
    }
    const property = fc.asyncProperty(clients, async (all: ReadonlyArray<Client>) => {
      if (Date.now() > shrinkUntil) return
      current ??= await enter()
      const faults = await current.world.check(all)
      if (faults.length === 0) return
      shrinkUntil = Math.min(shrinkUntil, Date.now() + shrinkMillis)
      // A leak would make all that follows fail, too.
      await leave()
      throw new Error(faults.join("\n"))
    })
    const given = { seed: process.env["FUZZ_SEED"], path: process.env["FUZZ_PATH"] }
    try {
      await fc.assert(property, {
        seed: given.seed === undefined ? seed : Number(given.seed),
        numRuns: runs,
        ...(given.path === undefined ? {} : { path: given.path }),
      })
    } finally {
      await leave()
    }
    return tally
  })
