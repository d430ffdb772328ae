/** Which models have to be pulled: a pure function of what is wanted and of what is there. */
import { assert, describe, it } from "@effect/vitest"
import { isGood, plan, registryOf, type Survey, wantedOf } from "../../../src/command/sync/plan.ts"
import { backend } from "../../../src/services/Fleet.ts"

const a = backend({ url: "http://a:1", id: "a", models: ["llama3.1:8b", "hf.co/Who/What-GGUF:Q4_K_M"] })
const b = backend({ url: "http://b:1", id: "b", models: ["llama3.1:8b"] })
const c = backend({ url: "http://c:1", id: "c" })

const survey = (found: Readonly<Record<string, Readonly<Record<string, string>> | string>>): Survey =>
  new Map(
    Object.entries(found).map(([id, models]) => [
      id,
      typeof models === "string" ? models : new Map(Object.entries(models)),
    ]),
  )

const pullsOf = (survey: Survey, repair = false) =>
  plan(wantedOf([a, b, c], []), survey, repair).pulls.map(({ backend, model, registry, why }) =>
    `${model} on ${backend} from ${registry}: ${why}`
  )

describe("what is wanted", () => {
  it("a model in two spellings is wanted once, as it was written first, and without a scheme", () => {
    const one = backend({ url: "http://a:1", id: "a", models: ["https://HF.co/Who/What", " llama3.1:8b ", "mistral"] })
    assert.deepStrictEqual(
      wantedOf([one], ["library/LLAMA3.1:8b", "mistral:latest", "new"]).map(({ model, name }) => [model, name]),
      [
        ["hf.co/who/what:latest", "HF.co/Who/What"],
        ["llama3.1:8b", "llama3.1:8b"],
        ["mistral:latest", "mistral"],
        ["new:latest", "new"],
      ],
    )
  })

  it("more models are wanted on every backend, and nothing is where nothing is said", () => {
    assert.deepStrictEqual(wantedOf([b, c], ["x"]).map(({ backend, model }) => [backend.id, model]), [
      ["b", "llama3.1:8b"],
      ["b", "x:latest"],
      ["c", "x:latest"],
    ])
    assert.deepStrictEqual(wantedOf([c], []), [])
  })
})

describe("the plan", () => {
  const all = { a: { "llama3.1:8b": "1", "hf.co/who/what-gguf:q4_k_m": "2" }, b: { "llama3.1:8b": "1" }, c: {} }

  it("is empty where everything is there", () => {
    const good = plan(wantedOf([a, b, c], []), survey(all), true)
    assert.deepStrictEqual([good.pulls, good.differences, isGood(good)], [[], [], true])
  })

  it("pulls what is missing, by registry", () => {
    assert.deepStrictEqual(pullsOf(survey({ a: {}, b: {}, c: {} })), [
      "llama3.1:8b on a from registry.ollama.ai: missing",
      "hf.co/who/what-gguf:q4_k_m on a from hf.co: missing",
      "llama3.1:8b on b from registry.ollama.ai: missing",
    ])
  })

  it("tells different contents, also on a backend on which nothing is wanted, and pulls them only where it is asked to", () => {
    const found = survey({ ...all, b: { "llama3.1:8b": "9" }, c: { "llama3.1:8b": "1", "unwanted:1b": "3" } })
    const told = plan(wantedOf([a, b, c], []), found, false)
    assert.deepStrictEqual(told.differences, [{
      model: "llama3.1:8b",
      versions: [{ digest: "1", backends: ["a", "c"] }, { digest: "9", backends: ["b"] }],
    }])
    assert.deepStrictEqual([told.pulls, isGood(told)], [[], false])
    assert.deepStrictEqual(pullsOf(found, true), [
      "llama3.1:8b on a from registry.ollama.ai: differs",
      "llama3.1:8b on c from registry.ollama.ai: differs",
      "llama3.1:8b on b from registry.ollama.ai: differs",
    ])
  })

  it("different contents of a model that nobody wants are not its business", () => {
    const found = survey({ ...all, b: { ...all.b, "other:1b": "1" }, c: { "other:1b": "2" } })
    assert.isTrue(isGood(plan(wantedOf([a, b, c], []), found, true)))
  })

  it("pulls nothing on a backend that did not answer, and is not good", () => {
    const found = survey({ ...all, a: "tags on a: connection refused" })
    const told = plan(wantedOf([a, b, c], []), found, true)
    assert.deepStrictEqual(told.pulls, [])
    assert.deepStrictEqual(
      told.places.filter(({ backend }) => backend === "a").map(({ reason, state }) => [state, reason]),
      [
        ["unknown", "tags on a: connection refused"],
        ["unknown", "tags on a: connection refused"],
      ],
    )
    assert.isFalse(isGood(told))
  })

  it.each([
    ["llama3.1:8b", "registry.ollama.ai"],
    ["someone/thing:1b", "registry.ollama.ai"],
    ["hf.co/who/what:latest", "hf.co"],
    ["registry.example:5000/who/what:latest", "registry.example:5000"],
  ])("%s comes from %s", (model, registry) => assert.strictEqual(registryOf(model), registry))
})
