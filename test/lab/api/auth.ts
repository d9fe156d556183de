import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { unauthorized } from "./status.js";

/** The user of a request without credentials. */
export const ANONYMOUS = "system:anonymous";

/** Bearer tokens and whose they are. */
export class Tokens {
  readonly #users = new Map<string, string>();

  /** Gives a user a token, a new one unless given. */
  issue(user: string, token: string = randomBytes(24).toString("hex")): string {
    this.#users.set(token, user);
    return token;
  }

  /** The user of a request: by client certificate, else by token; throws 401 for an unknown token. */
  userOf(request: IncomingMessage): string {
    const { authorization } = request.headers;
    // The server listens by TLS only.
    const socket = request.socket as TLSSocket;
    if (socket.authorized) {
      const { subject } = socket.getPeerCertificate();
      const name: string | readonly string[] | undefined = subject?.CN;
      if (typeof name === "string") return name;
    }
    if (authorization === undefined) return ANONYMOUS;
    const user = this.#users.get(/^Bearer (.+)$/iu.exec(authorization)?.[1] ?? "");
    if (user === undefined) throw unauthorized();
    return user;
  }
}
