import { describe, expect, test } from "vitest";
import { Monitor, type Monitored, type Monitoring } from "../../src/cli/monitor.js";
import { loadSettings } from "../../src/config/load.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { givenPass, type GivenPass } from "./metrics-given.js";

interface Served extends AsyncDisposable {
  readonly monitor: Monitor;
  readonly monitoring: Monitoring;
  readonly clock: FakeClock;
  /** The newest pass, to be changed. */
  readonly engine: { newest: GivenPass | undefined; wakes: number };
  readonly get: (path: string) => Promise<{ readonly status: number; readonly text: string }>;
}

async function serve(): Promise<Served> {
  const clock = new FakeClock();
  const { settings } = loadSettings({ env: { vip_arp: "true", svc_enable: "true", vip_interface: "eth0" } });
  const monitor = new Monitor({ settings: { ...settings, prometheusServer: "127.0.0.1:0" }, node: "n1", version: "1" }, { clock, log: new FakeLog() });
  const engine: Served["engine"] = { newest: givenPass(), wakes: 0 };
  const monitored: Monitored = {
    engine: {
      get newest() {
        return engine.newest;
      },
      wake: () => void (engine.wakes += 1),
    },
    fence: { heldUntil: () => 0, kernelDeadline: () => 0 },
  };
  const monitoring = monitor.serve(monitored);
  const port = await monitoring.listeners[0]?.listening;
  const get: Served["get"] = async (path) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { monitor, monitoring, clock, engine, get, [Symbol.asyncDispose]: async () => monitoring[Symbol.asyncDispose]() };
}

describe("the planning loop", () => {
  test("that does not go round any more fails /livez; one that goes on is well", async () => {
    await using served = await serve();
    const { monitor, clock, engine, get } = served;
    expect(await get("/livez")).toEqual({ status: 200, text: "ok" });
    expect(engine.wakes).toBeGreaterThan(0);
    await clock.advance(6000);
    expect(await get("/livez")).toEqual({
      status: 503,
      text: "[+]ping ok\n[-]loop failed: the planning loop was asked for a pass 6.0 s ago and has not made it\n[+]netlink ok\n[+]fence ok\nlivez check failed\n",
    });
    expect((await get("/healthz")).status).toBe(503);
    monitor.passed(1);
    expect(await get("/livez")).toEqual({ status: 200, text: "ok" });
  });

  test("is left alone while nobody asks", async () => {
    await using served = await serve();
    await served.clock.advance(60_000);
    expect([served.engine.wakes, served.clock.pending]).toEqual([0, 0]);
  });
});

describe("/readyz", () => {
  test("says that the program is stopping; /livez does not mind", async () => {
    await using served = await serve();
    served.monitoring.stopping();
    expect((await served.get("/readyz")).text).toContain("[-]shutdown failed: the program is stopping");
    expect((await served.get("/livez")).status).toBe(200);
  });
});

describe("/metrics", () => {
  test("has what was told and what can be read off", async () => {
    await using served = await serve();
    served.monitor.passed(2);
    served.monitor.requested({ verb: "list", resource: "services", code: "200", ms: 3 });
    const { text } = await served.get("/metrics");
    for (const line of ["vip_reconcile_seconds_count 1", 'vip_api_requests_total{verb="list",resource="services",code="200"} 1', 'vip_build_info{version="1"} 1', 'vip_healthcheck{endpoint="livez",name="loop"} 1']) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("are made once for all who ask at the same time", async () => {
    await using served = await serve();
    const count = async (): Promise<string | undefined> => (await served.get("/metrics")).text.split("\n").find((line) => line.startsWith("vip_reconcile_seconds_count"));
    expect(await count()).toBe("vip_reconcile_seconds_count 0");
    served.monitor.passed(2);
    expect(await count()).toBe("vip_reconcile_seconds_count 0");
    await served.clock.advance(250);
    expect(await count()).toBe("vip_reconcile_seconds_count 1");
  });
});

test("nothing listens where nothing is wanted", async () => {
  const { settings } = loadSettings({ env: { vip_arp: "true", svc_enable: "true" } });
  const monitor = new Monitor({ settings: { ...settings, prometheusServer: undefined, healthCheckPort: 0 }, node: "n1", version: "1" }, { clock: new FakeClock(), log: new FakeLog() });
  const monitoring = monitor.serve({ engine: { newest: undefined, wake: () => undefined }, fence: { heldUntil: () => 0, kernelDeadline: () => 0 } });
  expect(monitoring.listeners).toEqual([]);
  await monitoring[Symbol.asyncDispose]();
});
