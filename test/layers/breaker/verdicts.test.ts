/** What each outcome counts for: the table in the docstring of `LocalBreaker.layer`. */
import { assert, it } from "@effect/vitest"
import { backendVerdict, modelVerdict } from "../../../src/layers/breaker/verdicts.ts"
import { clientGone, type Outcome, success } from "../../../src/services/Outcome.ts"

const failure = (cause: string): Outcome => ({ kind: "failure", cause })
const rows: ReadonlyArray<readonly [of: ReadonlyArray<Outcome>, backend: string, trial: string, model: string]> = [
  [[success], "success", "success", "success"],
  [["refused", "connect-timeout", "reset", "protocol"].map(failure), "failure", "failure", "ignored"],
  [["http-500", "http-502", "error-record"].map(failure), "success", "success", "failure"],
  [
    ["first-byte-timeout", "gap-timeout", "truncated", "reset-midway"].map(failure),
    "ignored",
    "failure",
    "failure",
  ],
  [
    [clientGone, { kind: "ignored", cause: "http-404" }, { kind: "saturated", cause: "http-503" }],
    "ignored",
    "ignored",
    "ignored",
  ],
]

for (const [outcomes, backend, trial, model] of rows) {
  for (const outcome of outcomes) {
    it(`${outcome.kind} ${outcome.cause}: backend ${backend}, its trial ${trial}, model ${model}`, () => {
      const verdicts = [backendVerdict(outcome, false), backendVerdict(outcome, true), modelVerdict(outcome)]
      assert.deepStrictEqual(verdicts, [backend, trial, model])
    })
  }
}
