/**
 * What the `ollama` command sends, byte for byte as Go's client writes it (all fields of a request, also the empty
 * ones), to a backend and through llamero: the same answers, or a refusal that tells people why.
 */
import { check, direct, finish, is, llamero, models, that } from "./support.ts"

const { chat, embed } = await models()

const ask = async (base: string, method: string, path: string, body?: object) => {
  const response = await fetch(base + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      "Accept": path === "/api/generate" || path === "/api/chat" ? "application/x-ndjson" : "application/json",
      "User-Agent": "ollama/0.33.0 (amd64 linux) Go/go1.26.0",
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
}

/** Times, durations and the counts that follow from them differ between two answers. */
const timeless = (text: string): string =>
  text.replace(/"(created_at|modified_at|expires_at)":"[^"]*"/g, '"$1":""').replace(/,"\w+_duration":\d+/g, "")

const same = (name: string, method: string, path: string, body?: object): Promise<void> =>
  check(name, async () => {
    const through = await ask(llamero, method, path, body)
    if (direct === "") return that(through.status !== 500, `status ${through.status}`)
    const wanted = await ask(direct, method, path, body)
    is({ ...through, text: timeless(through.text) }, { ...wanted, text: timeless(wanted.text) }, `${method} ${path}`)
  })

const show = (name: string) => ({ model: "", system: "", template: "", verbose: false, options: null, name })
const generate = (model: string, more: object) => ({
  model,
  prompt: "",
  suffix: "",
  system: "",
  template: "",
  context: null,
  ...more,
  options: null,
})
const refused = (name: string, method: string, path: string, body: object | undefined, error: RegExp): Promise<void> =>
  check(name, async () => {
    const answer = await ask(llamero, method, path, body)
    is(answer.status, 403, "status")
    that(error.test(JSON.parse(answer.text).error), answer.text)
  })

await same("heartbeat", "HEAD", "/")
await same("ollama list", "GET", "/api/tags")
await same("ollama show", "POST", "/api/show", show(chat))
await same("ollama show, verbose", "POST", "/api/show", { ...show(chat), verbose: true })
await same("ollama show of a model that is nowhere", "POST", "/api/show", show("no-such-model"))
await same("ollama show of no name", "POST", "/api/show", show(""))
await same("ollama show of a text that is no name", "POST", "/api/show", show("m:"))
await same("ollama run, first", "POST", "/api/show", { ...show(""), model: chat })
await same("ollama run, the load", "POST", "/api/generate", generate(chat, { think: false }))
const turn = { role: "user", content: "hi" }
await same("ollama run, a turn", "POST", "/api/chat", { model: chat, messages: [turn], format: "", options: {} })
await same("ollama run of an embedder", "POST", "/api/embed", { model: embed, input: "hi", options: null })
await same("a text that is no name", "POST", "/api/chat", { model: "a b", messages: [turn], options: {} })
await same("a cloud model", "POST", "/api/chat", { model: "gpt-oss:120b-cloud", messages: [turn], options: {} })
await same("no model", "POST", "/api/embeddings", { model: "", prompt: "x", options: null })
const addressed = { username: "", password: "" }
await refused(
  "ollama run of a model that is nowhere, the pull",
  "POST",
  "/api/pull",
  { model: "", ...addressed, name: "no-such-model" },
  /^model 'no-such-model' not found, and pull is not allowed: /,
)
await refused("ollama pull", "POST", "/api/pull", { model: "", ...addressed, name: chat }, /^pull is not allowed: /)
await refused("ollama push", "POST", "/api/push", { model: "", ...addressed, name: chat }, /^push is not allowed: /)
await refused("ollama signin", "POST", "/api/me", undefined, /^signing in is not allowed: /)
await refused("ollama signout", "POST", "/api/signout", undefined, /^signing out is not allowed: /)
await refused("ollama cp", "POST", "/api/copy", { source: chat, destination: "x" }, /^copy is not allowed: /)
await refused("ollama rm", "DELETE", "/api/delete", { model: "", name: chat }, /^delete is not allowed: /)

finish()
