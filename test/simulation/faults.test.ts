/** A few seeds of random faults. The long run has 200. */
import process from "node:process"
import { suite } from "./faultSuite.ts"

suite([1, 2, 3, 4], Number(process.env["LLAMERO_REQUESTS"] ?? 1500))
