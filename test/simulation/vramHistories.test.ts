/** Some histories of memory. The long run has 5,000. */
import { suite } from "./vramSuite.ts"

suite("vram", 300)
