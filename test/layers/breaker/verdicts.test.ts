/** What each outcome counts for: the table in the docstring of `LocalBreaker.layer`. */
import { assert, it } from "@effect/vitest"
import { backendVerdict, modelVerdict } from "../../../src/layers/breaker/verdicts.ts"
import { clientGone, type Outcome, success } from "../../../src/services/Outcome.ts"

const failure = (cause: string): Outcome => ({ kind: "failure", cause })
type Row = readonly [
  of: ReadonlyArray<Outcome>,
  backend: string,
  backendTrial: string,
  model: string,
  modelTrial: string,
]
const rows: ReadonlyArray<Row> = [
  [[success], "success", "success", "success", "success"],
  [["refused", "connect-timeout", "reset", "protocol"].map(failure), "failure", "failure", "ignored", "ignored"],
  [["http-500", "http-502", "error-record"].map(failure), "success", "success", "failure", "failure"],
  [
    ["first-byte-timeout", "write-timeout", "gap-timeout", "reset-midway"].map(failure),
    "ignored",
    "failure",
    "failure",
    "failure",
  ],
  // The stream came to its end: the backend works. In a trial that is also enough for the model.
  [[{ kind: "ignored", cause: "truncated" }], "success", "success", "ignored", "success"],
  [
    [clientGone, { kind: "ignored", cause: "http-404" }, { kind: "saturated", cause: "http-503" }],
    "ignored",
    "ignored",
    "ignored",
    "ignored",
  ],
]

for (const [outcomes, ...wanted] of rows) {
  for (const outcome of outcomes) {
    it(`${outcome.kind} ${outcome.cause}: backend, its trial, model, its trial: ${wanted.join(", ")}`, () => {
      const verdicts: ReadonlyArray<string> = [backendVerdict, modelVerdict].flatMap((
        of,
      ) => [of(outcome, false), of(outcome, true)])
      assert.deepStrictEqual(verdicts, wanted)
    })
  }
}
