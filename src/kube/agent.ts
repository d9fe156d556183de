import http from "node:http";
import https from "node:https";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity } from "node:tls";

/** The kernel asks a silent peer after 3 s and then every second: a dead one is seen after 7 s. */
const PROBES = { enable: true, initialDelay: 3000, interval: 1000, count: 4 } as const;
/** At most this many idle connections are kept: the sixteen Leases of claims are written at the same time, and TLS takes longer than such a write. */
const IDLE = 20;

/** Has the kernel find out that the peer of this connection is gone. */
export function keepProbed(socket: Duplex): void {
  if (socket instanceof Socket) socket.setKeepAlive(PROBES);
}

/** Keeps connections over plain HTTP (`kubectl proxy`, tests). */
export class KeptHttpAgent extends http.Agent {
  constructor() {
    super({ keepAlive: true, maxFreeSockets: IDLE });
  }

  // Node sets its own probe times on a connection that becomes idle.
  override keepSocketAlive(socket: Duplex): void {
    // oxlint-disable-next-line typescript/no-confusing-void-expression -- a boolean, which the types leave out
    const keep = super.keepSocketAlive(socket);
    keepProbed(socket);
    return keep;
  }
}

/** Keeps TLS connections. The certificate may be made out to the host that we connect to, or to `alsoNamed`; the CA is the same for both. */
export class KeptHttpsAgent extends https.Agent {
  constructor(alsoNamed: string) {
    super({
      keepAlive: true,
      maxFreeSockets: IDLE,
      // Of the agent, not of a request: Node does not keep a connection that a request checked in its own way.
      checkServerIdentity: (host, cert) => {
        const wrong = checkServerIdentity(host, cert);
        return wrong === undefined || host === alsoNamed ? wrong : checkServerIdentity(alsoNamed, cert);
      },
    });
  }

  override keepSocketAlive(socket: Duplex): void {
    // oxlint-disable-next-line typescript/no-confusing-void-expression -- a boolean, which the types leave out
    const keep = super.keepSocketAlive(socket);
    keepProbed(socket);
    return keep;
  }
}
