/** Some histories of the whole router. The long run has 1,000. */
import { suite } from "./historySuite.ts"

suite(100)
