/** Which 404 says that a backend does not have a model. The texts are those of Ollama 0.33 and of older servers. */
import { assert, describe, it } from "@effect/vitest"
import { missingModel } from "../../src/wire/missingModel.ts"

const named = (body: unknown, status = 404) =>
  missingModel(status, new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)))

describe("a 404 that names a model", () => {
  it.each([
    [{ error: "model 'nope' not found" }, "nope"],
    [{ error: `model "nope" not found, try pulling it first` }, "nope"],
    [{ error: "model 'nope' not found, try pulling it first" }, "nope"],
    [{ error: `model "a/b:8b" not found` }, "a/b:8b"],
    [{ error: { message: "model 'nope' not found", type: "not_found_error", param: null, code: null } }, "nope"],
    [
      { type: "error", error: { type: "not_found_error", message: "model 'nope' not found" }, request_id: "req_1" },
      "nope",
    ],
  ])("%j", (body, model) => assert.strictEqual(named(body), model))
})

describe("a 404 about something else", () => {
  it.each([
    "404 page not found",
    "",
    "null",
    `"model 'x' not found"`,
    `{"error":"model 'x' not found"`,
    { error: null },
    { error: ["model 'x' not found"] },
    { error: "model '' not found" },
    { error: "image not found" },
    { error: `tool "weather" not found` },
    { error: `blob "sha256:00" not found` },
    { error: "file 'model' not found" },
    { error: "projector of model 'x' not found" },
    { error: "model 'x' not found in cache: image not found" },
    { error: "model not found" },
    { error: { message: "previous response not found" } },
    { message: "model 'x' not found" },
  ])("%j", (body) => assert.isUndefined(named(body)))

  it("no other status", () => {
    for (const status of [200, 400, 403, 410, 500]) {
      assert.isUndefined(named({ error: "model 'x' not found" }, status))
    }
  })
})
