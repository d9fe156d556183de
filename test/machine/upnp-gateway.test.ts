import { describe, expect, test } from "vitest";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { gatewayStep } from "../../src/machine/upnp-gateway.js";
import { GATEWAY_TIMING, gatewayStart, MAX_CANDIDATES, type Gateway, type GatewayAction, type GatewayEvent, type GatewayState } from "../../src/machine/upnp-gateway-state.js";
import type { SsdpMessage } from "../../src/wire/ssdp.js";

const IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:2";
const [ROUTER, OTHER, OUTSIDE] = ["10.77.0.1", "10.77.0.9", "198.51.100.1"].map((text) => parseIp(text) as IpAddress) as [IpAddress, IpAddress, IpAddress];
const { searchMs, resendMs, preferMs, againFirstMs, checkMs, checkAgainMs, checkTries, leastMs } = GATEWAY_TIMING;

type Body = GatewayEvent extends infer E ? (E extends GatewayEvent ? Omit<E, "random"> : never) : never;

/** A machine with its time. */
class Bench {
  state: GatewayState = gatewayStart(0);
  now = 0;
  wakeAt: number | undefined = 0;

  send(event: Body): readonly GatewayAction[] {
    const { state, actions, wakeAt } = gatewayStep(this.state, { random: 0, ...event }, this.now, GATEWAY_TIMING);
    this.state = state;
    this.wakeAt = wakeAt;
    return actions;
  }

  /** Wakes the machine whenever it asks for it, up to `ms` from now. */
  run(ms: number): readonly GatewayAction[] {
    const end = this.now + ms;
    const actions: GatewayAction[] = [];
    for (let turns = 0; this.wakeAt !== undefined && this.wakeAt <= end; turns += 1) {
      if (turns > 1000) throw new Error(`does not come to rest at ${this.now}`);
      this.now = Math.max(this.now, this.wakeAt);
      actions.push(...this.send({ type: "tick" }));
    }
    this.now = end;
    return actions;
  }

  heard(part: Partial<SsdpMessage> = {}, host = ROUTER, preferred = true): readonly GatewayAction[] {
    const message: SsdpMessage = { kind: "answer", target: IGD, usn: `uuid:${host}::${IGD}`, location: `http://${host}:5000/rootDesc.xml`, server: undefined, maxAgeSeconds: 120, bootId: 1, ...part };
    return this.send({ type: "heard", message, host, preferred });
  }

  /** Answers the request that is under way. */
  described(part: Partial<Gateway> = {}, host = ROUTER): readonly GatewayAction[] {
    const service = { serviceType: "urn:schemas-upnp-org:service:WANIPConnection:2", controlUrl: `http://${host}:5000/ctl` };
    const gateway: Gateway = { id: `uuid:${host}`, name: "router", location: `http://${host}:5000/rootDesc.xml`, host, udn: `uuid:${host}`, service, externalAddress: OUTSIDE, uptimeSeconds: 100, ...part };
    return this.send({ type: "described", id: this.state.request?.id ?? 0, gateway });
  }

  failed(reason = "no"): readonly GatewayAction[] {
    return this.send({ type: "failed", id: this.state.request?.id ?? 0, reason });
  }

  checked(part: { readonly externalAddress?: IpAddress; readonly uptimeSeconds?: number; readonly missing?: boolean } = {}): readonly GatewayAction[] {
    return this.send({ type: "checked", id: this.state.request?.id ?? 0, check: { externalAddress: OUTSIDE, uptimeSeconds: 100 + this.now / 1000, missing: false, ...part } });
  }

  /** The router is known. */
  static withGateway(): Bench {
    const bench = new Bench();
    bench.run(10);
    bench.heard();
    bench.described();
    return bench;
  }
}

function kinds(actions: readonly GatewayAction[]): readonly string[] {
  return actions.map(({ type }) => type);
}

describe("searching", () => {
  test("is sent twice, ends, and is done again after twice the time each", () => {
    const bench = new Bench();
    expect(kinds(bench.run(0))).toEqual(["search"]);
    expect(bench.state.searched).toBe(false);
    expect(kinds(bench.run(resendMs))).toEqual(["search"]);
    expect(kinds(bench.run(searchMs - resendMs))).toEqual([]);
    expect(bench.state).toMatchObject({ searched: true, gateway: undefined });
    expect(bench.wakeAt).toBe(searchMs + againFirstMs);
    bench.run(againFirstMs + searchMs);
    expect(bench.wakeAt).toBe(bench.now + 2 * againFirstMs);
  });

  test("takes a next hop at once, and another only when the time for next hops is over", () => {
    const next = new Bench();
    next.run(10);
    expect(next.heard()).toMatchObject([{ type: "describe", candidate: { host: ROUTER } }]);
    const bench = new Bench();
    bench.run(10);
    expect(bench.heard({}, OTHER, false)).toEqual([]);
    expect(bench.run(preferMs - 20)).toMatchObject([{ type: "search" }]);
    expect(bench.heard()).toMatchObject([{ type: "describe", candidate: { host: ROUTER } }]);
    bench.failed();
    expect(bench.run(20)).toMatchObject([{ type: "describe", candidate: { host: OTHER } }]);
  });

  test("reads each description once, and no more than some, however many answer", () => {
    const bench = new Bench();
    bench.run(10);
    let described = 0;
    for (let i = 0; i < 500; i += 1) {
      const actions = bench.heard({ location: `http://${ROUTER}:${1000 + (i % 100)}/` });
      described += actions.length;
      if (bench.state.request !== undefined) described += bench.failed(described < 2 ? "not XML" : `${i}`).length;
    }
    expect(described).toBe(MAX_CANDIDATES);
    expect(bench.state.candidates).toEqual([]);
    bench.run(searchMs);
    expect(bench.state).toMatchObject({ searched: true, reason: "not XML", tried: [] });
  });

  test("leaves room for the answer of a next hop, whoever else says to be a gateway, and in whose name ever", () => {
    const bench = new Bench();
    bench.run(10);
    const flood = (host: IpAddress, preferred: boolean, part: Partial<SsdpMessage>): void => {
      for (let i = 0; i < 100; i += 1) bench.heard({ location: `http://${host}:${1000 + i}/`, ...part }, host, preferred);
    };
    flood(OTHER, false, {});
    flood(OTHER, false, { kind: "alive" });
    flood(ROUTER, true, { kind: "alive", location: `http://${ROUTER}:7/` });
    bench.heard();
    bench.failed();
    expect(bench.state.request).toMatchObject({ type: "describe", candidate: { location: `http://${ROUTER}:5000/rootDesc.xml` } });
    expect(bench.state.candidates.length).toBeLessThanOrEqual(3 * MAX_CANDIDATES);
  });

  test("passes over devices that are no gateways", () => {
    const bench = new Bench();
    bench.run(10);
    expect(bench.heard({ target: "urn:schemas-upnp-org:device:MediaServer:1" })).toEqual([]);
    expect(bench.heard({ location: undefined })).toEqual([]);
  });

  test("is not needed for a router that announces itself", () => {
    const bench = new Bench();
    bench.run(searchMs + 100);
    expect(bench.heard({ kind: "alive" }, OTHER, false)).toMatchObject([{ type: "describe" }]);
    bench.described({}, OTHER);
    expect(bench.state.gateway?.host).toBe(OTHER);
  });
});

describe("a gateway that is known", () => {
  test("is checked now and then; its new address counts", () => {
    const bench = Bench.withGateway();
    expect(kinds(bench.run(checkMs))).toEqual(["check"]);
    const address = parseIp("198.51.100.7") as IpAddress;
    expect(kinds(bench.checked({ externalAddress: address }))).toEqual([]);
    expect(bench.state.gateway?.externalAddress).toBe(address);
    expect(kinds(bench.run(checkMs))).toEqual(["check"]);
  });

  test.each([
    ["its uptime is less than it was", { uptimeSeconds: 3 }],
    ["a mapping is not there", { missing: true }],
  ])("was restarted where %s", (_name, check) => {
    const bench = Bench.withGateway();
    bench.run(checkMs);
    expect(kinds(bench.checked(check))).toEqual(["restarted"]);
  });

  test("was restarted where it announces another boot, and is asked for its address anew", () => {
    const bench = Bench.withGateway();
    expect(kinds(bench.heard({ kind: "alive", bootId: 1 }))).toEqual([]);
    bench.run(leastMs);
    expect(kinds(bench.heard({ kind: "alive", bootId: 2 }))).toEqual(["restarted", "check"]);
    expect(kinds(bench.heard({ kind: "alive", bootId: 2 }))).toEqual([]);
  });

  test("is believed every ten seconds, and checked every second, where somebody announces boot after boot in its name", () => {
    const bench = Bench.withGateway();
    const seen: string[] = [];
    for (let i = 0; i < 2000; i += 1) {
      seen.push(...kinds(bench.heard({ kind: "alive", bootId: 2 + i })), ...kinds(bench.run(10)));
      if (bench.state.request !== undefined) seen.push(...kinds(bench.checked()));
    }
    expect(seen.filter((kind) => kind === "restarted")).toHaveLength(2);
    expect(seen.filter((kind) => kind === "check").length).toBeGreaterThan(15);
    expect(seen.filter((kind) => kind === "check").length).toBeLessThanOrEqual(21);
  });

  test("that says goodbye is searched for: it stays where it answers, and goes where it does not", () => {
    const stays = Bench.withGateway();
    stays.now += leastMs;
    expect(kinds(stays.heard({ kind: "byebye", location: undefined }))).toEqual(["search"]);
    expect(kinds(stays.heard())).toEqual(["restarted", "check"]);
    expect(stays.state.gateway?.host).toBe(ROUTER);
    const goes = Bench.withGateway();
    goes.now += leastMs;
    goes.heard({ kind: "byebye", location: undefined });
    goes.run(searchMs);
    expect(goes.state.gateway).toBeUndefined();
  });

  test("is not searched for because another host says goodbye, and not faster than allowed because it does itself", () => {
    const bench = Bench.withGateway();
    expect(bench.heard({ kind: "byebye", location: undefined }, OTHER)).toEqual([]);
    expect(bench.heard({ kind: "byebye", location: undefined, usn: "uuid:other::x" })).toEqual([]);
    expect(bench.heard({ kind: "byebye", location: undefined })).toEqual([]);
    expect(bench.wakeAt).toBe(leastMs);
  });

  test("that fails its checks is searched for", () => {
    const bench = Bench.withGateway();
    bench.run(checkMs);
    for (let i = 1; i < checkTries; i += 1) {
      bench.failed();
      expect(kinds(bench.run(checkAgainMs))).toEqual(["check"]);
    }
    expect(kinds(bench.failed())).toEqual(["search"]);
    expect(bench.state.gateway?.host).toBe(ROUTER);
    bench.run(searchMs);
    expect(bench.state.gateway).toBeUndefined();
  });

  test("whose requests fail for a mapping is checked at once", () => {
    const bench = Bench.withGateway();
    expect(kinds(bench.send({ type: "doubt" }))).toEqual(["check"]);
  });

  test("is not left for another that announces itself", () => {
    const bench = Bench.withGateway();
    expect(bench.heard({ kind: "alive" }, OTHER, true)).toEqual([]);
    expect(bench.state.candidates).toEqual([]);
  });

  test("an answer that nobody waits for any more changes nothing", () => {
    const bench = Bench.withGateway();
    const before = bench.state;
    bench.send({ type: "failed", id: 99, reason: "late" });
    expect(bench.state).toBe(before);
  });
});
