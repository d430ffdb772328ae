/** A target that answers wrongly must not be measured, because refusals are fast. */
import type { Instance } from "./targets.ts"
import { asks, bodies } from "./wire.ts"

const expected = [[asks.json, bodies.json], [asks.stream, bodies.stream]] as const

export const verify = async ({ port, target }: Instance): Promise<void> => {
  for (const [body, wanted] of expected) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body,
      signal: AbortSignal.timeout(10_000),
    })
    const got = await answer.text()
    if (answer.status !== 200 || got !== wanted) {
      throw new Error(`${target.name} answered ${answer.status} with ${got.length} characters: ${got.slice(0, 300)}`)
    }
  }
}
