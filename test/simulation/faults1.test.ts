/** Half of the seeds; the other half runs beside it. */
import { suite } from "./faults/suite.ts"

suite(1, 2)
