import { describe, expect, test } from "vitest";
import type { OwnershipKey } from "../../src/core/model.js";
import type { Stance } from "../../src/machine/election-state.js";
import { flush } from "../fakes/clock.js";
import { CONTROL_PLANE, type Fault, holder, OwnershipBench, SERVICES } from "./ownership-bench.js";

/** Says "yes" or "no" once it is known; "pending" until then. */
function verdict(promise: Promise<boolean>): { said: string } {
  const shown = { said: "pending" };
  void promise.then((yes) => (shown.said = yes ? "yes" : "no"));
  return shown;
}

describe("stances", () => {
  test("nothing is asked for before the first campaign, nor for a key that none names", async () => {
    await using bench = new OwnershipBench();
    await bench.clock.advance(60_000);
    await bench.campaign({ "control-plane": "run" });
    expect(bench.held()).toBe(false);
    expect(bench.kube.requests).toBe(0);
    expect(bench.ownership.states().get("services")?.view).toBe("free");
  });

  test("`run` takes it: for its renew deadline, and longer with every renew", async () => {
    await using bench = await holder();
    expect(bench.ownership.states().get("services")).toEqual({ held: true, view: "mine", holder: "n1", created: true });
    expect(bench.ownership.heldUntil("services")).toBe(bench.clock.now() + 3000);
    expect(bench.ownership.kernelDeadline("services")).toBe(bench.clock.now() + 3300);
    await bench.clock.advance(1000);
    expect(bench.ownership.heldUntil("services")).toBe(bench.clock.now() + 3000);
  });

  test("a campaign that says the same again sends nothing", async () => {
    await using bench = await holder();
    const { requests } = bench.kube;
    await bench.campaign({ services: "run" });
    expect(bench.kube.requests).toBe(requests);
  });

  test("`drop` lets go at once and gives the Lease up", async () => {
    await using bench = await holder();
    bench.ownership.campaign(new Map([["services", "drop"]]));
    expect(bench.held()).toBe(false);
    await flush();
    expect(bench.record?.holderIdentity).toBe("");
  });

  test.each<readonly [string, Partial<Record<OwnershipKey, Stance>>]>([
    ["`yield`", { services: "yield" }],
    ["a campaign that names it no more", {}],
  ])("%s gives the Lease up and holds on for a second, for want of an heir", async (_name, stances) => {
    await using bench = await holder();
    await bench.campaign(stances);
    expect(bench.record?.holderIdentity).toBe("");
    expect([bench.held(), bench.ownership.mayAnnounce("services")]).toEqual([true, false]);
    await bench.clock.advance(1000);
    expect(bench.held()).toBe(false);
  });

  test("two keys are two Leases: giving the one up leaves the other alone", async () => {
    await using bench = new OwnershipBench();
    bench.ownership.watch("control-plane", CONTROL_PLANE);
    await bench.campaign({ services: "run", "control-plane": "run" });
    expect([bench.held(), bench.held("control-plane")]).toEqual([true, true]);
    await bench.campaign({ services: "run", "control-plane": "drop" });
    await bench.clock.advance(10_000);
    expect([bench.held(), bench.held("control-plane")]).toEqual([true, false]);
    expect(bench.kube.lease(CONTROL_PLANE.name)?.record.holderIdentity).toBe("");
  });
});

describe("asked whether this node still owns it", () => {
  test("yes, once a renew that was started afterwards has taken effect", async () => {
    await using bench = await holder();
    await bench.clock.advance(500);
    const { requests } = bench.kube;
    const answer = verdict(bench.ownership.confirm("services"));
    expect(answer.said).toBe("pending");
    await flush();
    expect([answer.said, bench.kube.requests - requests]).toEqual(["yes", 1]);
  });

  test("yes, late, where the first answers get lost", async () => {
    await using bench = await holder();
    await bench.clock.advance(500);
    bench.faults.push("request lost", "request lost");
    const answer = verdict(bench.ownership.confirm("services"));
    await bench.clock.advance(300);
    expect(answer.said).toBe("pending");
    await bench.clock.advance(300);
    expect(answer.said).toBe("yes");
  });

  test("no, once the API has not answered until the renew deadline", async () => {
    await using bench = await holder();
    bench.kube.down = true;
    await bench.clock.advance(500);
    const answer = verdict(bench.ownership.confirm("services"));
    await bench.clock.advance(2499);
    expect(answer.said).toBe("pending");
    await bench.clock.advance(1);
    expect(answer.said).toBe("no");
  });

  test("no, where another wrote its name in a moment before", async () => {
    await using bench = await holder();
    await bench.clock.advance(500);
    const lease = bench.kube.lease(SERVICES.name);
    if (lease === undefined) throw new Error("no lease");
    const theirs = bench.kube.leases.replace(lease, { ...lease.record, holderIdentity: "n2" }, 1000, new AbortController().signal);
    const answer = verdict(bench.ownership.confirm("services"));
    await theirs;
    await flush();
    expect([answer.said, bench.held(), bench.record?.holderIdentity]).toEqual(["no", false, "n2"]);
  });

  test("no, at once, where it never was", async () => {
    await using bench = new OwnershipBench();
    expect(await bench.ownership.confirm("services")).toBe(false);
    expect(await bench.ownership.confirm("control-plane")).toBe(false);
  });

  test("no, where everything is closed meanwhile", async () => {
    const bench = await holder();
    await bench.clock.advance(500);
    bench.kube.down = true;
    const answer = verdict(bench.ownership.confirm("services"));
    await bench[Symbol.asyncDispose]();
    await flush();
    expect(answer.said).toBe("no");
  });
});

describe("a machine that may have stood still", () => {
  test("holds nothing until a renew that was started afterwards has taken effect", async () => {
    await using bench = await holder();
    await bench.clock.advance(500);
    bench.ownership.suspect();
    expect(bench.held()).toBe(false);
    await flush();
    expect(bench.held()).toBe(true);
  });

  test("holds nothing as long as the API does not answer", async () => {
    await using bench = await holder();
    await bench.clock.advance(500);
    bench.kube.down = true;
    bench.ownership.suspect();
    await bench.clock.advance(2000);
    expect(bench.held()).toBe(false);
    bench.kube.down = false;
    await bench.clock.advance(1000);
    expect(bench.held()).toBe(true);
  });
});

describe("leaving", () => {
  test("a node that holds nothing has left at once", async () => {
    await using bench = new OwnershipBench();
    bench.ownership.leave();
    expect(await left(bench)).toBe(true);
  });

  test("without an heir, the Lease is given up at once and what it stands for a second later", async () => {
    await using bench = await holder();
    bench.ownership.leave();
    expect(await left(bench)).toBe(false);
    expect([bench.record?.holderIdentity, bench.held()]).toEqual(["", true]);
    await bench.clock.advance(999);
    expect(await left(bench)).toBe(false);
    await bench.clock.advance(1);
    expect([await left(bench), bench.held()]).toEqual([true, false]);
  });

  test("an heir takes it at once, seen before the answer to our release; 80 ms later it is let go here, and that is all", async () => {
    await using bench = await holder();
    await using heir = new OwnershipBench(bench.clock, bench.kube, "n2");
    await heir.campaign({ services: "run" });
    bench.ownership.leave();
    await flush();
    expect([bench.held(), heir.held()]).toEqual([true, true]);
    await bench.clock.advance(80);
    expect([bench.held(), heir.held(), await left(bench)]).toEqual([false, true, true]);
    expect(bench.ownership.states().get("services")?.holder).toBe("n2");
  });

  test.each<Fault>(["request lost", "answer lost"])("a release whose %s does not keep it, nor the Lease", async (fault) => {
    await using bench = await holder();
    bench.faults.push(fault);
    bench.ownership.leave();
    await flush();
    await bench.clock.advance(1000);
    expect([await left(bench), bench.record?.holderIdentity, bench.held()]).toEqual([true, "", false]);
  });

  test("not even an API that is away lets it hold for longer; it has left once the API is back", async () => {
    await using bench = await holder();
    bench.kube.down = true;
    bench.ownership.leave();
    await bench.clock.advance(1000);
    expect([await left(bench), bench.held()]).toEqual([false, false]);
    bench.kube.down = false;
    await bench.clock.advance(1000);
    expect([await left(bench), bench.record?.holderIdentity]).toEqual([true, ""]);
  });

  test("is for good, whatever a campaign says afterwards", async () => {
    await using bench = await holder();
    bench.ownership.leave();
    await bench.campaign({ services: "run" });
    await bench.clock.advance(20_000);
    expect([bench.held(), bench.record?.holderIdentity]).toEqual([false, ""]);
  });
});

describe("who is told", () => {
  test("listeners hear of every renew that took effect, in the order in which they came, after the states have changed", async () => {
    await using bench = new OwnershipBench();
    const heard: string[] = [];
    bench.ownership.onMoved((key) => void heard.push(`first ${key} ${bench.held(key)}`));
    const end = bench.ownership.onMoved((key) => void heard.push(`second ${key} ${bench.changes}`));
    await bench.campaign({ services: "run" });
    expect(heard.splice(0)).toEqual(["first services true", expect.stringMatching(/^second services [1-9]/)]);
    end();
    await bench.clock.advance(2000);
    expect(heard.splice(0)).toEqual(["first services true", "first services true"]);
    bench.kube.down = true;
    await bench.clock.advance(20_000);
    expect(heard).toEqual([]);
  });

  test("`changed` and the log: when it is taken and when it is lost, not with every renew", async () => {
    await using bench = await holder();
    const before = bench.changes;
    await bench.clock.advance(20_000);
    expect(bench.changes).toBe(before);
    bench.kube.down = true;
    await bench.clock.advance(2999);
    expect(bench.changes).toBe(before);
    await bench.clock.advance(1);
    expect(bench.changes).toBe(before + 1);
    const taken = bench.log.lines.filter(({ message }) => message === "ownership taken");
    expect(taken).toMatchObject([{ key: "services", lease: SERVICES.name, holder: "n1" }]);
  });
});

describe("the end", () => {
  test("dispose leaves no timer, no watch and no request, and what is held stays for its time", async () => {
    const bench = await holder();
    await bench.clock.advance(1000);
    await bench[Symbol.asyncDispose]();
    const { requests } = bench.kube;
    bench.ownership.campaign(new Map());
    await bench.clock.advance(20_000);
    expect(bench.kube.requests).toBe(requests);
    expect(bench.record?.holderIdentity).toBe("n1");
    await bench.ownership[Symbol.asyncDispose]();
  });

  test("a watch that throws is a bug, and comes out of `failed`", async () => {
    const broken = async (): Promise<void> => Promise.reject(new TypeError("cannot read lease"));
    await using bench = new OwnershipBench(undefined, undefined, "n1", broken);
    await expect(bench.ownership.failed()).rejects.toThrow("cannot read lease");
  });
});

/** Whether `left` has resolved by now. */
async function left({ ownership }: OwnershipBench): Promise<boolean> {
  const waiting = Symbol("waiting");
  let shown: unknown = waiting;
  void ownership.left().then((done) => (shown = done));
  await flush();
  return shown !== waiting;
}

describe("whose the Lease is", () => {
  const foreign = (bench: OwnershipBench): boolean => bench.ownership.states().get("services")?.foreign === true;
  const AS_KUBE_VIP = { leaseDurationSeconds: 5, acquireTime: "2026-01-02T00:00:00.000000Z", leaseTransitions: 1 };

  test("one of ours writes it, gives it up, and another of ours takes it: nobody else's", async () => {
    await using bench = await holder();
    await using second = new OwnershipBench(bench.clock, bench.kube, "n2");
    await bench.clock.advance(3000);
    expect([foreign(bench), foreign(second)]).toEqual([false, false]);
    await bench.campaign({ services: "drop" });
    expect([foreign(bench), foreign(second)]).toEqual([false, false]);
    await second.campaign({ services: "run" });
    await bench.clock.advance(10);
    expect([second.held(), foreign(bench), foreign(second)]).toEqual([true, false, false]);
  });

  test.each(["n7", "n1", ""])("a kube-vip has written it since, holder %j: its, until one of ours writes again", async (holderIdentity) => {
    await using bench = await holder();
    await bench.campaign({ services: "drop" });
    const lease = bench.kube.lease(SERVICES.name);
    if (lease === undefined) throw new Error("no Lease");
    // client-go sends the annotations back as it read them.
    await bench.kube.leases.replace(lease, { ...AS_KUBE_VIP, holderIdentity, renewTime: "2026-01-02T00:00:09.000000Z" }, 1000, new AbortController().signal);
    await bench.clock.advance(10);
    expect(foreign(bench)).toBe(true);
    await bench.campaign({ services: "run" });
    await bench.clock.advance(7000);
    expect([bench.held(), foreign(bench)]).toEqual([true, false]);
  });

  test("nobody has made it yet, or nobody has ever held it: nobody else's", async () => {
    await using bench = new OwnershipBench();
    await bench.clock.advance(10);
    expect(foreign(bench)).toBe(false);
    await bench.kube.leases.create(SERVICES, { holderIdentity: "", leaseDurationSeconds: 1, acquireTime: undefined, renewTime: undefined, leaseTransitions: 0 }, 1000, new AbortController().signal);
    await bench.clock.advance(10);
    expect(foreign(bench)).toBe(false);
  });
});
