#!/usr/bin/env node
/**
 * The program `llamero`. It loads as little as it can: `llamero serve` without flags does not load the code that reads
 * flags, and nothing is loaded before the compile cache is on.
 */
import { existsSync, readFileSync } from "node:fs"
import * as modules from "node:module"
import process from "node:process"
import { fileURLToPath } from "node:url"
import "../support/oldNode.ts"

const args = process.argv.slice(2)

/** Whether this is the bundle, and not a source or what a compiler made of it. */
const isBundle = !/\/command\/main\.[jt]s$/.test(import.meta.url)

/** The texts of files of settings that may be read. */
const configs = (): ReadonlyArray<string> => {
  const at = args.findIndex((arg) => /^--config\b/.test(arg))
  const flag = at < 0 ? undefined : args[at]!.includes("=") ? args[at]!.slice(args[at]!.indexOf("=") + 1) : args[at + 1]
  const named = flag ?? process.env["LLAMERO_CONFIG"]
  const paths = named ? [named] : ["llamero.json", "llamero.yaml", "llamero.yml"]
  return paths.flatMap((path) => {
    try {
      return [readFileSync(path, "utf8")]
    } catch {
      return []
    }
  })
}

/** Whether plugin files may be loaded: they must share one copy of Effect with the router, so no bundle will do. */
const mayHavePlugins = (): boolean =>
  Boolean(process.env["LLAMERO_PLUGINS"]) || args.some((arg) => /^--plugins\b/.test(arg)) ||
  configs().some((text) => /\bplugins\b/.test(text))

/** The sources beside the bundle: in the package they are JavaScript. */
const sources = (): string => {
  const [compiled, source] = ["../command/", "../src/command/"].map((path) => new URL(path, import.meta.url))
  return existsSync(compiled!) ? new URL("llamero.js", compiled).href : new URL("llamero.ts", source).href
}

const young = "--max-semi-space-size"

/**
 * Becomes the same process with a young generation of at most 16 MiB, as on Node 20: newer versions let it grow to 64
 * MiB in a busy time, and then every later collection of it takes longer. V8 takes the option only when a process
 * begins. Where that cannot be done, as on Windows, the default stays.
 */
const capYoungGeneration = (): void => {
  const isSet = process.execArgv.concat(process.env["NODE_OPTIONS"] ?? "").some((option) => option.includes(young))
  if (isSet || process.platform === "win32" || "Deno" in globalThis) return
  try {
    process.execve?.(process.execPath, [process.execPath, `${young}=16`, ...process.execArgv, ...process.argv.slice(1)])
  } catch {
    // The system does not let this process become another one.
  }
}

if (isBundle && args[0] === "serve" && !args.includes("--check")) capYoungGeneration()

// Without it V8 compiles the bundle again at each start. Where the folder cannot be written, nothing is kept. Deno has
// a cache of its own.
if (isBundle) modules.enableCompileCache?.(fileURLToPath(new URL("compiled", import.meta.url)))

if (isBundle && args[0] === "serve" && mayHavePlugins()) {
  const { run } = await import(sources())
  run(args)
} else if (args.length === 1 && args[0] === "serve") await import("./serve/server.ts")
else {
  const { run } = await import("./llamero.ts")
  run(args)
}
