/**
 * The running router, by its admin API.
 *
 * @since 0.1.0
 */
import * as ModelName from "../../../services/ModelName.ts"
import { type Check, type Finding, finding } from "../finding.ts"
import { answering, type ObservedRouter } from "../observations.ts"

const notRead = ({ answer, url }: ObservedRouter): Finding => {
  if (answer._tag === "NoAnswer") {
    return finding("router-unreachable", {
      subject: url,
      symptom: `it does not answer: ${answer.description}`,
      cause: answer.why === "refused" ? "Nothing listens there." : "It hangs, or something between drops packets.",
      remedy: "Start the router with `llamero serve`, or correct --url.",
    })
  }
  if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
    return finding("router-token", {
      subject: url,
      symptom: `/admin/state answers ${answer.status}`,
      cause: answer.status === 404
        ? "The router has no LLAMERO_ADMIN_TOKEN, so its admin API is off; or this is no llamero."
        : "The token is not the router's.",
      remedy: "Start the router with LLAMERO_ADMIN_TOKEN, and give the same token here with --token or that variable.",
    })
  }
  return finding("router-unreachable", {
    subject: url,
    symptom: `/admin/state answers ${answer.status}`,
    cause: "Another program answers there, or a proxy whose router is down.",
    remedy: "Correct --url, and look at the log of the router.",
  })
}

/** Whether the router answers, and what it says that cannot be seen from here. */
export const router: Check = (observations) => {
  const { router } = observations
  if (router === undefined) return []
  if (router.state === undefined) return [notRead(router)]
  const { backends, prewarm } = router.state
  const here = answering(observations)
  const disagreeing = backends.filter(({ health, id, url }) =>
    health === "unhealthy" && here.some(({ backend }) => backend.id === id || backend.url === url)
  )
  // Where no backend has the model, that is the finding.
  const failed = prewarm.filter(({ model, state }) =>
    state === "failed" && here.some(({ tags }) => tags?.some((row) => ModelName.canonical(row.model) === model))
  )
  return [
    ...disagreeing.map(({ id, reason }) =>
      finding("router-disagrees", {
        subject: id,
        symptom: `the router counts it as unhealthy: ${reason}`,
        cause: "It answers here. The router reaches it in another way, or it failed requests a moment ago.",
        remedy: "Run this command on the machine of the router. If it answers there, look at /admin/backends.",
      })
    ),
    ...failed.map(({ backend, model, reason }) =>
      finding("prewarm-failed", {
        subject: backend === null ? model : `${model} on ${backend}`,
        symptom: `the router did not load it: ${reason}`,
        cause: "A plan asks for it. While a pinned model is not loaded, the router is not ready.",
        remedy: "Look at the reason and at the log of that Ollama, or take the model out of the plan.",
      })
    ),
  ]
}
