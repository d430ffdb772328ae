/** 1,000 histories of the whole router. */
import { suite } from "../simulation/historySuite.ts"

suite(1000)
