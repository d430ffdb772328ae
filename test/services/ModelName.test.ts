import { assert, describe, it } from "@effect/vitest"
import * as ModelName from "../../src/services/ModelName.ts"

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
