/**
 * Each backend answers, quickly, as an Ollama, and with the right time.
 *
 * @since 0.1.0
 */
import { type Check, type Finding, finding, time } from "../finding.ts"
import type { Answer, ObservedBackend } from "../observations.ts"

/** Milliseconds. `/api/version` reads nothing and computes nothing: a healthy server on a network takes a few. */
const slowMillis = 1000

/**
 * Milliseconds. `expires_at` of `/api/ps` is in the time of the backend, and keep-alive times are minutes: a few
 * seconds do no harm.
 */
const skewMax = 5000

type NoAnswer = Answer & { readonly _tag: "NoAnswer" }
type Answered = Answer & { readonly _tag: "Answered" }

/** Cause and remedy. */
const noAnswer = (url: string, isHere: boolean): Readonly<Record<NoAnswer["why"], readonly [string, string]>> => ({
  refused: isHere
    ? [
      "Nothing listens there. Ollama does not run, or it has another port.",
      "Start it with `ollama serve`, or name the servers: with --backend here, and in LLAMERO_BACKENDS for the router.",
    ]
    : [
      "Nothing listens there. Ollama does not run, or it listens on 127.0.0.1 of its own machine only.",
      "Start it with `ollama serve`, and set OLLAMA_HOST=0.0.0.0 for it, so that other machines reach it.",
    ],
  name: ["The name of its host does not resolve.", "Correct the name, or use the IP address."],
  certificate: [
    "Its certificate is not signed by an authority that is trusted here, or is for another name.",
    "Name the file of the authority in LLAMERO_CA_FILE, or as caFile in the fleet file.",
  ],
  timeout: [
    "The machine is off, a firewall drops packets, or the server hangs.",
    `Try \`curl ${url}/api/version\` on this machine and on its own, then look at the network and at its log.`,
  ],
  protocol: [
    "What listens there does not speak HTTP.",
    "Correct the port. If it speaks TLS, write https:// in the URL.",
  ],
  broken: [
    "The server closes connections, or there is no way to it through the network.",
    `Try \`curl ${url}/api/version\` on this machine, then look at the log of the server.`,
  ],
})

const unreachable = ({ backend: { id, url }, host }: ObservedBackend, { description, why }: NoAnswer): Finding => {
  const [cause, remedy] = noAnswer(url, host === "localhost")[why]
  return finding(why === "protocol" ? "not-ollama" : "backend-unreachable", {
    subject: id,
    symptom: `${url} does not answer: ${description}`,
    cause,
    remedy,
  })
}

const refuses = ({ id, url }: ObservedBackend["backend"], { status, text }: Answered): Finding =>
  finding("backend-refuses", {
    subject: id,
    symptom: `${url} answers ${status}`,
    cause: status === 403 && text === ""
      ? "Ollama on loopback takes only names of its own machine and private addresses as Host."
      : "A proxy in front of it asks for a user, a token or a header, and does not get the right one.",
    remedy: status === 403 && text === ""
      ? "Use its IP address in the URL, or set OLLAMA_HOST=0.0.0.0 for it."
      : "Write the user into the URL, or a token or headers into the fleet file: see docs/settings.md.",
  })

const foreign = ({ id, url }: ObservedBackend["backend"], { status, text }: Answered): Finding => {
  const start = text.replaceAll(/\s+/g, " ").trim().slice(0, 60)
  return finding("not-ollama", {
    subject: id,
    symptom: `${url}/api/version answers ${status}${start === "" ? "" : ` with ${JSON.stringify(start)}`}`,
    cause: status >= 500
      ? "A proxy answers there, and the Ollama behind it does not."
      : "Another program listens there, or the URL lacks a path prefix of a proxy.",
    remedy: status >= 500
      ? "Look at the proxy's log and start the Ollama behind it, or name the Ollama itself as the backend."
      : "Correct the address. Ollama's own port is 11434.",
  })
}

/** The first answer of each backend. */
export const reachable: Check = ({ backends }) =>
  backends.flatMap((observed) => {
    const { answer, backend, version } = observed
    if (answer._tag === "NoAnswer") return [unreachable(observed, answer)]
    if (answer.status === 401 || answer.status === 403) return [refuses(backend, answer)]
    if (version === undefined) return [foreign(backend, answer)]
    if (answer.millis <= slowMillis) return []
    return [finding("backend-slow", {
      subject: backend.id,
      symptom: `${backend.url}/api/version took ${time(answer.millis)}`,
      cause: "The network to it is slow or loses packets, or its machine has no CPU time or memory left.",
      remedy: "Compare with `curl` on the machine itself. If it is quick there, look at the network between.",
    })]
  })

/** Clocks, by the `Date` of the answers. */
export const clocks: Check = ({ backends }) =>
  backends.flatMap(({ answer, backend, version }) => {
    const skew = answer._tag === "Answered" && version !== undefined ? answer.skewMillis : undefined
    if (skew === undefined || Math.abs(skew) <= skewMax) return []
    return [finding("clock-skew", {
      subject: backend.id,
      symptom: `its clock is ${time(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} the clock here`,
      cause:
        "One of the two machines does not keep its time. The router reads from times of the backend when a model " +
        "leaves memory.",
      remedy: "Run a time service, such as chrony or systemd-timesyncd, on both machines.",
    })]
  })
