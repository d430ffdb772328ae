/** The examples that end by themselves say what they are meant to say, on Node and on Deno. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run, runtimes } from "./support/processes.ts"

const examples: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  "05-tenants-and-keys.ts": [
    /no key: 401/,
    /no key, a list: 401/,
    /the shop: 200/,
    /research, another model: 403/,
    /research, second time: 200/,
    /research, third time: 429/,
  ],
  "07-fallback-chain.ts": [
    /both are up: 200, gpt-4o is llama3\.1:8b$/m,
    /short: 200, gpt-4o-mini is mistral:7b$/m,
    /long: 200, gpt-4o-mini is llama3\.1:8b$/m,
    /the big one is out: 200, gpt-4o is mistral:7b$/m,
  ],
}

for (const [file, wanted] of Object.entries(examples)) {
  describe(file, () => {
    for (const [runtime, command] of Object.entries(runtimes)) {
      it.live(`on ${runtime}`, () =>
        Effect.gen(function* () {
          const { printed, status } = yield* run([...command, `examples/${file}`], {})
          assert.strictEqual(status, 0, printed)
          for (const line of wanted) assert.match(printed, line)
        }), 60_000)
    }
  })
}
