/**
 * Reads the body of a web `Request` within a limit. `Request.bytes()` has no limit.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { concat } from "../../wire/json.ts"
import { tooLarge } from "./decode.ts"
import type { Held } from "./held.ts"

const cutOff: Refusal = refuse("BadRequest", "unexpected EOF")
const nothing = new Uint8Array(0)

/** The whole body, or a refusal. `declared` is its `Content-Length`. Its bytes are counted in `held`. @internal */
export const readWebBody = async (
  request: Request,
  limit: number,
  declared: string | undefined,
  held: Held,
): Promise<Uint8Array | Refusal> => {
  if (declared !== undefined && Number(declared) > limit) return tooLarge
  if (request.body === null) return nothing
  const reader = request.body.getReader()
  const parts: Array<Uint8Array> = []
  let received = 0
  for (;;) {
    const result = await reader.read().then((read) => read, () => undefined)
    if (result === undefined) return cutOff
    if (result.done) return parts.length === 0 ? nothing : concat(parts)
    received += result.value.length
    const refused = received > limit ? tooLarge : held.add(result.value.length)
    if (refused !== undefined) {
      reader.cancel().catch(() => {})
      return refused
    }
    parts.push(result.value)
  }
}
