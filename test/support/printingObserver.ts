/** A plugin file that prints every event: what observers of any kind could tell. */
import type { Observer } from "../../src/services/Plugin.ts"

const observer: Observer = {
  kind: "observer",
  name: "printing",
  observe: (event) => console.log(`event ${JSON.stringify(event)}`),
}
export default observer
