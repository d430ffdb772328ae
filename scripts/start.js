/**
 * The reference server: `npm start`. It is JavaScript, so that Node need not load a compiler.
 *
 * With plugin files it runs from its sources: the router and the plugins must share one copy of Effect.
 */
import * as modules from "node:module"
import process from "node:process"
import { fileURLToPath } from "node:url"

// Without it V8 compiles the bundle again at each start. Where the folder cannot be written, nothing is kept. Deno has
// a cache of its own.
modules.enableCompileCache?.(fileURLToPath(new URL("../build/compiled", import.meta.url)))

await import(process.env["LLAMERO_PLUGINS"] ? "../src/command/serve/server.ts" : "../build/server.js")
