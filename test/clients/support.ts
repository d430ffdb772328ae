/** Shared by the client scripts: one line for each check, and an exit status that says whether all passed. */
import process from "node:process"

/** URL of llamero. */
export const llamero = (process.env["LLAMERO_URL"] ?? "http://127.0.0.1:11435").replace(/\/+$/, "")
/** URL of one of its backends, for comparing; empty for none. */
export const direct = (process.env["OLLAMA_DIRECT_URL"] ?? "").replace(/\/+$/, "")

interface Tag {
  readonly model: string
  readonly capabilities?: ReadonlyArray<string>
}

/** A chat model and an embedding model: those named in the environment, else the first with that capability. */
export const models = async (): Promise<{ readonly chat: string; readonly embed: string }> => {
  const response = await fetch(`${llamero}/api/tags`)
  const tags: ReadonlyArray<Tag> = (await response.json()).models
  const first = (capability: string) => tags.find((tag) => tag.capabilities?.includes(capability))?.model
  const chat = process.env["LLAMERO_MODEL"] ?? first("completion")
  const embed = process.env["LLAMERO_EMBED_MODEL"] ?? first("embedding")
  if (chat === undefined || embed === undefined) throw new Error("no model that writes, or none that embeds")
  return { chat, embed }
}

let passed = 0
let failed = 0

/** Runs one check. It fails with the error that it throws. */
export const check = async (name: string, run: () => unknown): Promise<void> => {
  try {
    await run()
    passed++
    console.log(`ok     ${name}`)
  } catch (error) {
    failed++
    const why = error instanceof Error ? error.message : String(error)
    console.log(`NOT OK ${name}: ${why.slice(0, 2000)}`)
  }
}

export const is = (got: unknown, wanted: unknown, what = "value"): void => {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${what} is ${left}, not ${right}`)
}

export const that = (held: boolean, what: string): void => {
  if (!held) throw new Error(what)
}

/** The error that a call must end with. */
export const fails = async (call: () => unknown): Promise<Error & { readonly [key: string]: unknown }> => {
  try {
    await call()
  } catch (error) {
    return error as Error & { readonly [key: string]: unknown }
  }
  throw new Error("it did not fail")
}

/** Prints the last line and exits. The exit is explicit because the clients keep connections open. */
export const finish = (): never => {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}
