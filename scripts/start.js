/**
 * The reference server: `npm start`. It is JavaScript, so that Node need not load a compiler.
 *
 * With plugin files it runs from its sources: the router and the plugins must share one copy of Effect.
 */
import process from "node:process"

await import(process.env["LLAMERO_PLUGINS"] ? "../examples/server.ts" : "../build/server.js")
