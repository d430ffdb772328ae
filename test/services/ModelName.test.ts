import { assert, describe, it } from "@effect/vitest"
import * as ModelName from "../../src/services/ModelName.ts"
import { readName } from "../../src/simulated/models/names.ts"
import { SeededRandom } from "../../src/testing/faults/seededRandom.ts"

const spellings: Readonly<Record<string, ReadonlyArray<string>>> = {
  // Measured on Ollama 0.33: all of these names reach one model.
  "tiny-eos:latest": [
    "tiny-eos",
    "tiny-eos:latest",
    "TINY-EOS",
    "tiny-eos:LATEST",
    "library/tiny-eos",
    "registry.ollama.ai/library/tiny-eos",
    "https://registry.ollama.ai/library/tiny-eos",
    "HTTP://Registry.Ollama.AI/Library/Tiny-EOS:Latest",
    " tiny-eos ",
    "tiny-eos:local",
    "tiny-eos:latest:local",
    "library/tiny-eos:local",
  ],
  "llama3.1:8b": ["llama3.1:8b", "LLAMA3.1:8B", "library/llama3.1:8b", "llama3.1:8b:local"],
  "someone/thing:latest": ["someone/thing", "Someone/Thing:latest", "registry.ollama.ai/someone/thing"],
  "hf.co/bartowski/llama-3.2-gguf:q4_k_m": ["hf.co/bartowski/Llama-3.2-GGUF:Q4_K_M"],
  "localhost:5000/library/m:latest": ["localhost:5000/library/m", "http://localhost:5000/library/m:latest"],
  "gpt-oss:120b-cloud": ["gpt-oss:120b-cloud", "GPT-OSS:120B-Cloud"],
  "deepseek:cloud": ["deepseek:cloud", "library/deepseek:cloud"],
}

describe("ModelName", () => {
  for (const [key, names] of Object.entries(spellings)) {
    for (const name of names) {
      it(`${JSON.stringify(name)} is ${key}`, () => assert.strictEqual(ModelName.canonical(name), key))
    }
  }

  it("flags the models that Ollama forwards to ollama.com, and no others", () => {
    for (const name of ["gpt-oss:120b-cloud", "deepseek:cloud"]) assert.isTrue(ModelName.parse(name).cloud, name)
    for (const name of ["cloud", "cloudy:8b", "my-cloud", "cloud/m:8b", "m:cloudy", "m:local"]) {
      assert.isFalse(ModelName.parse(name).cloud, name)
    }
  })

  it("says why Ollama cannot read a name, and nothing about a name that it can read", () => {
    // The second reader of names, which the simulated Ollama has.
    const wanted = (name: string) => {
      const read = readName(name)
      return "key" in read ? undefined : read.blank ? "model is required" : read.text
    }
    const good = [
      ...Object.values(spellings).flat(),
      "x-cloud",
      "_",
      "h:1/n/m.x:t_-.",
      "a.b/c/d",
      "m".repeat(80),
      "x: cloud",
    ]
    const bad = [
      [
        "m:",
        "a b",
        "../x",
        "a/b/c/d",
        ":",
        "/",
        "x/",
        "/x",
        "m:a:b",
        "a.b/m",
        "-m",
        ".m",
        "m@sha256:1",
        "é",
        "m:.t",
        "a//b",
      ],
      [
        "x:-cloud",
        "https://m",
        "https://a/m",
        "m".repeat(81),
        `m:${"t".repeat(81)}`,
        "m\n:x",
        "a:b/c",
        "m: x",
        "x :cloud",
      ],
      ["", " ", "\t"],
      ["m:local:local", "m:cloud:local", "m:8b-cloud:local", "m:local:cloud"],
    ].flat()
    for (const name of good) {
      assert.isUndefined(ModelName.problem(name), name)
      assert.isUndefined(wanted(name), name)
    }
    for (const name of bad) {
      assert.isString(ModelName.problem(name), name)
      assert.strictEqual(ModelName.problem(name), wanted(name), name)
    }
    const random = new SeededRandom(1)
    const pieces = [..."aaZ0_-.:/ @é", ":cloud", "-cloud", ":local", "://", "m:8b", "x/"]
    let read = 0
    for (let run = 0; run < 5000; run++) {
      const name = Array.from({ length: random.between(0, 6) }, () => random.pick(pieces)).join("")
      if (wanted(name) === undefined) read++
      assert.strictEqual(ModelName.problem(name), wanted(name), JSON.stringify(name))
    }
    // Otherwise the texts would be too strange to show anything.
    assert.isAbove(read, 500)
  })

  it("gives the same name when applied twice, and never throws", () => {
    for (
      const name of [
        "",
        ":",
        "/",
        "a//b",
        ":local",
        "://",
        "a:b:c",
        " ",
        "a/b/c/d/e:f",
        ...Object.values(spellings).flat(),
      ]
    ) {
      const once = ModelName.canonical(name)
      assert.strictEqual(ModelName.canonical(once), once, JSON.stringify(name))
    }
  })
})
