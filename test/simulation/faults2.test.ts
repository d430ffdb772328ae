/** Half of the seeds; the other half runs beside it. */
import { suite } from "./faultSuite.ts"

suite(2, 2)
