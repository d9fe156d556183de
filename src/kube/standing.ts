import { messageOf } from "../lib/errors.js";
import type { Log } from "../ports/log.js";
import { NoKubeconfig } from "./config.js";
import { isDenial, type KubeError } from "./errors.js";

/**
 * How we stand with the API. `notThere`: no kubeconfig, or nobody answers; it may come. `notAllowed`: it answers, and nothing was allowed yet. `unreadable`, `wrong`:
 * somebody has to put something right, a file that this process may not read, a kubeconfig that cannot be used or a certificate that cannot be trusted.
 */
export type Standing = "reached" | "notThere" | "notAllowed" | "unreadable" | "wrong";

/** What a failed call says of it; undefined: nothing (a server in trouble). */
export function standingOf(error: KubeError): Standing | undefined {
  switch (error.code) {
    case "config":
      if (error instanceof NoKubeconfig || codeOf(error) === "ENOENT") return "notThere";
      return isDenial(codeOf(error)) ? "unreadable" : "wrong";
    case "network":
      return isDistrust(error) ? "wrong" : "notThere";
    case "timeout":
      return "notThere";
    case "unauthorized":
    case "forbidden":
      return "notAllowed";
    case "protocol":
      return "wrong";
    case "server":
    case "tooManyRequests":
      return undefined;
    case "notFound":
    case "conflict":
    case "alreadyExists":
    case "gone":
    case "invalid":
      return "reached";
  }
}

/** Of the kubeconfig, or of a file that it names (token, certificate). */
function codeOf({ cause }: KubeError): string | undefined {
  return (cause as NodeJS.ErrnoException | undefined)?.code;
}

/** Codes of OpenSSL's chain verification and of Node's TLS; all others are of sockets and names. */
function isDistrust(error: KubeError): boolean {
  const code = codeOf(error) ?? "";
  return code.startsWith("ERR_TLS_") || code.startsWith("ERR_SSL_") || code === "EPROTO" || /CERT|SIGNATURE|ISSUER|_CRL|INVALID_CA|INVALID_PURPOSE/.test(code);
}

const TEXT = {
  notThere: "api server is not there yet, trying again",
  notAllowed: "api server does not allow it yet, trying again",
  unreadable: "kubeconfig may not be read, trying again",
  wrong: "kubeconfig or certificate is wrong, trying again",
} as const;

/** Keeps the standing, and logs each change once. */
export class StandingLog {
  #shown = "";
  #standing: Standing | undefined;

  constructor(private readonly log: Log) {}

  get standing(): Standing | undefined {
    return this.#standing;
  }

  /** `source`: the kubeconfig in use. */
  failed(error: KubeError, source: string | undefined): void {
    const standing = standingOf(error);
    if (standing === undefined || standing === "reached") return;
    // Of one who may do something, a 403 is about that one request: whoever made it says so.
    if (error.code === "forbidden" && this.#standing === "reached") return;
    if (!this.#changed(standing, source)) return;
    const fields = { reason: messageOf(error), ...(source === undefined ? {} : { source }) };
    if (standing === "wrong" || standing === "unreadable") this.log.error(TEXT[standing], fields);
    // The failed call itself is a warning of whoever made it.
    else this.log.info(TEXT[standing], fields);
  }

  reached(source: string, server: string): void {
    if (this.#changed("reached", source)) this.log.info("api server reached", { source, server });
  }

  #changed(standing: Standing, source: string | undefined): boolean {
    const shown = `${standing} ${source ?? ""}`;
    const changed = shown !== this.#shown;
    this.#shown = shown;
    this.#standing = standing;
    return changed;
  }
}
