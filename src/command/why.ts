/** Says why a command failed: an address that cannot be listened on is named with the settings that change it. */
import { explain } from "../layers/server/NodeMain.ts"

export const why = (error: unknown): string => explain(error, { host: "LLAMERO_HOST", port: "LLAMERO_PORT" })
