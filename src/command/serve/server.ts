/**
 * The reference server alone: `node src/command/serve/server.ts`. It is `llamero serve` without flags, and starts
 * without the code that reads flags.
 */
import process from "node:process"
import * as NodeMain from "../../layers/server/NodeMain.ts"
import { why } from "../why.ts"
import { serve } from "./run.ts"

NodeMain.runMain(serve({ flags: {}, env: process.env, demo: false }), { why })
