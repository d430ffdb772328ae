/** A plugin file that prints every event, and with it everything that an observer can see. */
import type { Observer } from "../../src/services/Plugin.ts"

const observer: Observer = {
  kind: "observer",
  name: "printing",
  observe: (event) => console.log(`event ${JSON.stringify(event)}`),
}
export default observer
