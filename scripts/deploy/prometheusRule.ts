/** The rules as the Prometheus operator reads them, for `deploy/kubernetes`. */
import { alertFile, recordingFile } from "./ruleFiles.ts"
import type { Alert, Recording } from "./rules.ts"

const head = `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: llamero
  labels:
    app.kubernetes.io/name: llamero
spec:
  groups:
`

/** The groups of a rule file, which begins with `groups:`, two columns further to the right. */
const groups = (file: string): string => file.slice(file.indexOf("\n") + 1).replaceAll(/^(?=.)/gm, "  ")

/** The same groups as in the files for a Prometheus without the operator: first the recordings, then the alerts. */
export const prometheusRule = (recordings: ReadonlyArray<Recording>, alerts: ReadonlyArray<Alert>): string =>
  head + groups(recordingFile(recordings)) + groups(alertFile(alerts))
