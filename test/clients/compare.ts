/** Runs each feature of a client directly against a backend and through llamero: the client must get the same. */
import { check, direct, finish, is, llamero, that } from "./support.ts"

/** What a client gets at a base URL: plain data, without times and ids. */
export type Feature = (base: string) => Promise<unknown>

/** What a feature gives, or the error in which it ends. */
const outcome = async (
  feature: Feature,
  base: string,
): Promise<{ readonly got?: unknown; readonly error?: unknown }> => {
  try {
    return { got: await feature(base) }
  } catch (thrown) {
    // Some clients wrap the error in the one of their retries.
    const error = thrown as Error & Readonly<Record<string, unknown>>
    const status = error["status"] ?? error["statusCode"] ?? error["status_code"] ?? null
    const message = error.message.replaceAll(/"request_id":"req_[^"]+"/g, `"request_id":"req_…"`).replaceAll(
      base,
      "BASE",
    )
    return { error: { status, message } }
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)

/** `features` must succeed and give something, `errors` must fail. */
export const compare = async (
  features: Readonly<Record<string, Feature>>,
  errors: Readonly<Record<string, Feature>>,
): Promise<never> => {
  if (direct === "") throw new Error("OLLAMA_DIRECT_URL is not set: there is nothing to compare with")
  for (const [name, feature] of Object.entries({ ...features, ...errors })) {
    await check(name, async () => {
      const wanted = await outcome(feature, direct)
      is(await outcome(feature, llamero), wanted, "the answer through llamero")
      if (Object.hasOwn(errors, name)) return that(wanted.error !== undefined, "it did not fail")
      that(wanted.error === undefined, `it failed: ${JSON.stringify(wanted.error)}`)
      const parts = typeof wanted.got === "object" && wanted.got !== null ? Object.values(wanted.got) : [wanted.got]
      if (/tool|JSON/.test(name)) that(JSON.stringify(parts).includes("Paris"), "the answer of the tool is missing")
      that(parts.length > 0 && !parts.some(isEmpty), `something is missing in ${JSON.stringify(wanted.got)}`)
    })
  }
  return finish()
}

/** One pixel. */
export const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

/** The parameters of the tool that the clients offer. */
export const city = {
  type: "object" as const,
  properties: { city: { type: "string" as const, description: "Name of a city" } },
  required: ["city"],
}
