/** Done-when 1 of issue 4: half of the seeds. The other half runs beside it. */
import { suite } from "./faults/suite.ts"

suite(1, 2)
