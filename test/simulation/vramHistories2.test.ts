/** The second half of 5,000 memory histories. The other half runs in parallel. */
import { suite } from "./vramSuite.ts"

suite(2)
