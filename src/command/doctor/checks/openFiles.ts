/**
 * The limit of open files.
 *
 * @since 0.1.0
 */
import { type Check, finding } from "../finding.ts"

/** The program's own files, its listeners, probes, and connections that are idle. */
const others = 256

/** Each stream has two connections, each waiting request one. */
export const openFiles: Check = ({ backends, openFiles, settings: { values } }) => {
  const streams = values.streamsPerBackend * Math.max(1, backends.length)
  const needed = 2 * streams + values.queueCapacity + others
  if (openFiles === undefined || openFiles >= needed) return []
  return [finding("open-files", {
    subject: "open files",
    symptom: `a process may open ${openFiles} files, and the settings may need ${needed}`,
    cause: `${streams} streams have two connections each, and ${values.queueCapacity} requests may wait for one model.`,
    remedy: "Raise it: `ulimit -n 65536` in a shell, LimitNOFILE=65536 in a systemd unit, --ulimit nofile for Docker.",
  })]
}
