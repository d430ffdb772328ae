/**
 * The reference server: `npm start`. It is JavaScript, so that Node need not load a compiler. With plugin files the
 * command runs from its sources: the router and the plugins must share one copy of Effect.
 */
import process from "node:process"

process.argv.splice(2, 0, "serve")
await import("../build/llamero.js")
