import { mappingKey, vipKey, type Mapping, type MappingKey, type MappingView, type ServiceKey } from "../../src/core/model.js";
import type { VipMode } from "../../src/core/mode.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createUpnpMode } from "../../src/modes/upnp.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { FakePcpServer } from "../fakes/pcp-server.js";
import { FakeRouter } from "../fakes/router.js";
import type { Bench } from "./conformance.js";

/** The UPnP mode on a link with one fake router. */
export class UpnpBench implements Bench<"upnp"> {
  readonly leavesNothing = true;
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  readonly router: FakeRouter;
  /** At the same host; knows nothing unless it is told to. */
  readonly pcp: FakePcpServer;
  readonly views = new Map<MappingKey, MappingView>();
  readonly troubles = new Map<string, number>();
  readonly mode: VipMode<"upnp">;

  /** `at`: the router's address. */
  constructor(at?: IpAddress) {
    this.router = new FakeRouter(at);
    this.pcp = new FakePcpServer(this.router.host, () => this.clock.now());
    this.mode = this.reborn();
  }

  reborn(): VipMode<"upnp"> {
    const { clock, log, router, pcp } = this;
    return createUpnpMode({
      ssdp: router.ssdp,
      http: router.http,
      clock,
      log,
      random: { float: () => 0 },
      pcp: pcp.sockets,
      defaultGateway: async () => pcp.host,
      nextHops: () => new Set([router.host]),
      refused: (trouble) => void this.troubles.set(trouble, (this.troubles.get(trouble) ?? 0) + 1),
      report: (key, view) => void (view === undefined ? this.views.delete(key) : this.views.set(key, view)),
    });
  }

  want(n: number, part: Partial<Mapping> = {}): Mapping {
    const address = parseIp(this.router.host.includes(":") ? `fd77::${200 + n}` : `10.77.0.${200 + n}`) as IpAddress;
    const port = part.port ?? 8000 + n;
    const protocol = part.protocol ?? "TCP";
    return { key: mappingKey(vipKey("eth0", address), { protocol, port }), owners: [`default/web-${n}` as ServiceKey], uid: `uid-${n}`, iface: "eth0", address, protocol, port, leaseSeconds: 3600, ...part };
  }

  /** Lets everything that is under way come to its end. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) await this.clock.advance(0.1);
  }

  async there(): Promise<readonly MappingKey[]> {
    await this.settle();
    return [...this.router.mappings].map(([key, value]) => {
      const [protocol, port] = key.split(" ");
      const address = parseIp(value.split(":")[0] ?? "") as IpAddress;
      return mappingKey(vipKey("eth0", address), { protocol: protocol === "UDP" ? "UDP" : "TCP", port: Number(port) });
    });
  }

  open(): number {
    return this.router.opened.count + this.pcp.opened.count + this.clock.pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }
}
