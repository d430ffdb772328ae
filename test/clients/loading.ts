/**
 * Streams that all wait for a load at the same time: `LLAMERO_URL=http://127.0.0.1:11435 node test/clients/loading.ts`.
 * Needs a simulated backend that loads slowly.
 */
import { patients } from "../support/patience.ts"
import { check, finish, llamero, that } from "./support.ts"

let signs = 0

await Promise.all(
  patients(llamero, fetch).map(({ ask, name }) =>
    check(name, async () => {
      signs += await ask()
    })
  ),
)

await check("signs of life came", () => that(signs > 0, "none"))

finish()
