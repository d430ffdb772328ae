/** What the chat box says when the router does not answer. */
import { assert, describe, it } from "@effect/vitest"
import { CallError } from "../../page/api.ts"
import { refused } from "../../page/refused.ts"

describe("a chat that the router does not answer", () => {
  it("is told in words, with what the router says and when to try again", () => {
    const cases: ReadonlyArray<readonly [CallError, boolean, string]> = [
      [new CallError(401, "unauthorized"), false, "This router asks for an API key. Enter one above, and send again."],
      [new CallError(401, "unauthorized"), true, "The router does not know this API key."],
      [new CallError(403, "the key may not use m"), true, "That is not allowed. The key may not use m."],
      [
        new CallError(429, "rate limit reached", 42),
        true,
        "The limit of requests is used up. Rate limit reached. Try again in 42.0 s.",
      ],
      [new CallError(429, "", 0), true, "The limit of requests is used up. Try again in 1.00 s."],
      [
        new CallError(503, "no backend is healthy", 5),
        false,
        "The router cannot take the request now. No backend is healthy. Try again in 5.00 s.",
      ],
      [new CallError(0, "the router cannot be reached"), true, "The router cannot be reached."],
      [new CallError(200, "an error was encountered"), true, "It failed. An error was encountered."],
      [new CallError(418, "a teapot!"), true, "It failed. A teapot!"],
    ]
    for (const [error, hasKey, words] of cases) assert.strictEqual(refused(error, hasKey), words)
    assert.strictEqual(refused(new SyntaxError("no JSON"), false), "No JSON.")
  })
})
