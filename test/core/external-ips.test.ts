import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EXTERNAL_IPS, externalIPsStep, hasExternalIP, recordedExternalIPs, type ExternalIPsStep } from "../../src/core/external-ips.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeService } from "../fakes/service.js";
import { patched } from "../fakes/service-patch.js";
import { ip } from "./given.js";

const OURS = ["192.0.2.10", "192.0.2.11", "2001:db8::10"];
const USERS = ["203.0.113.1", "203.0.113.2", "2001:DB8:0::99"];

function service(externalIPs: readonly string[], record: readonly string[] = []): Service {
  return fakeService({ type: "ClusterIP", externalIPs, annotations: record.length === 0 ? {} : { [EXTERNAL_IPS]: record.join(",") } });
}

/** The Service after this step, as the API stores it. */
function after(before: Service, step: ExternalIPsStep): Service {
  const resourceVersion = String(Number(before.resourceVersion) + 1);
  if (step.type === "change") return { ...patched(before, step.operations), resourceVersion };
  if (step.type === "none") return before;
  const annotations = Object.fromEntries(Object.entries({ ...before.annotations, ...step.annotations }).filter((entry): entry is [string, string] => entry[1] !== null));
  return { ...before, resourceVersion, annotations };
}

/** The user adds or removes an entry. */
function edited(before: Service, { user, address }: { readonly user: "add" | "remove"; readonly address: string }): Service {
  const others = before.externalIPs.filter((other) => other !== address);
  return { ...before, resourceVersion: String(Number(before.resourceVersion) + 1), externalIPs: user === "add" ? [...others, address] : others };
}

/** Every Service on the way to where nothing is left to do. */
function way(from: Service, wanted: readonly string[]): readonly Service[] {
  const seen = [from];
  for (let now = from; seen.length < 30; seen.push(now)) {
    const step = externalIPsStep(now, wanted.map(ip));
    if (step.type === "none") return seen;
    now = after(now, step);
  }
  throw new Error(`no end: ${JSON.stringify(seen.map(shown))}`);
}

/** `192.0.2.10 203.0.113.1 (192.0.2.10)`: what is there, and what of it is recorded as ours. */
function shown(of: Service): string {
  return `${of.externalIPs.join(" ")} (${recordedExternalIPs(of).join(" ")})`;
}

describe("spec.externalIPs, step by step", () => {
  const [A, B] = OURS as [string, string];
  const [U] = USERS as [string];
  test.each<readonly [string, Service, readonly string[], readonly string[]]>([
    ["nothing wanted, nothing there", service([]), [], []],
    ["the first entry is recorded, then added", service([]), [A], [` (${A})`, `${A} (${A})`]],
    ["behind the user's", service([U]), [A], [`${U} (${A})`, `${U} ${A} (${A})`]],
    ["two entries", service([]), [A, B], [` (${A})`, `${A} (${A})`, `${A} (${A} ${B})`, `${A} ${B} (${A} ${B})`]],
    ["another one: the old one goes first", service([U, A], [A]), [B], [`${U} (${A})`, `${U} (${B})`, `${U} ${B} (${B})`]],
    ["none any more: removed, then forgotten", service([A, U], [A]), [], [`${U} (${A})`, `${U} ()`]],
    ["the user has it already: nothing is ours", service([A]), [A], []],
    ["the user has it already, spelled otherwise", service(["2001:DB8:0::10"]), ["2001:db8::10"], []],
    ["ours, spelled otherwise by the API, goes all the same", service(["2001:DB8:0::10", U], ["2001:db8::10"]), [], [`${U} (2001:db8::10)`, `${U} ()`]],
    ["the user removed ours: it is added again", service([U], [A]), [A], [`${U} ${A} (${A})`]],
    ["recorded, and the process died before it was added: forgotten, where it is not wanted", service([U], [A]), [], [`${U} ()`]],
    ["a record that nobody can read counts as none", { ...service([A, U]), annotations: { [EXTERNAL_IPS]: "nonsense, ,7" } }, [], []],
  ])("%s", (_name, from, wanted, expected) => {
    expect(way(from, wanted).slice(1).map(shown)).toEqual(expected);
  });

  test("a change is for the very version that was looked at", () => {
    const before = service([U]);
    const step = externalIPsStep({ ...before, annotations: { [EXTERNAL_IPS]: A } }, [ip(A)]);
    expect(step).toEqual({ type: "change", operations: [{ op: "replace", path: "/metadata/resourceVersion", value: "1" }, { op: "add", path: "/spec/externalIPs/-", value: A }] });
    const newer = { ...before, resourceVersion: "2", externalIPs: [U, "203.0.113.2"] };
    expect(() => patched(newer, step.type === "change" ? step.operations : [])).toThrow("conflict");
  });

  test("whether an address is there does not depend on how it is spelled", () => {
    expect(["2001:db8::99", "203.0.113.1", "203.0.113.3"].map((text) => hasExternalIP(service(USERS), ip(text)))).toEqual([true, true, false]);
  });
});

describe("whatever is wanted in whatever order", () => {
  type Act = { readonly want: readonly string[] } | { readonly user: "add" | "remove"; readonly address: string } | { readonly steps: number };
  const act: fc.Arbitrary<Act> = fc.oneof(
    fc.record({ want: fc.subarray(OURS) }),
    fc.record({ user: fc.constantFrom("add" as const, "remove" as const), address: fc.constantFrom(...USERS) }),
    // The process dies after so many of the steps, and another goes on from what it finds.
    fc.record({ steps: fc.nat({ max: 3 }) }),
  );

  test("the user's entries stay as they are at every step, and in the end ours are exactly what is wanted", () => {
    let steps = 0;
    fc.assert(
      fc.property(fc.array(act, { maxLength: 20 }), (acts) => {
        let now = service([]);
        let users: readonly string[] = [];
        let wanted: readonly string[] = [];
        const check = (): void => expect(now.externalIPs.filter((address) => !OURS.includes(address))).toEqual(users);
        for (const one of acts) {
          if ("want" in one) wanted = one.want;
          else if ("user" in one) {
            now = edited(now, one);
            users = now.externalIPs.filter((address) => !OURS.includes(address));
          } else {
            for (let i = 0; i < one.steps; i += 1, steps += 1) {
              now = after(now, externalIPsStep(now, wanted.map(ip)));
              check();
              // Nothing of ours is there that is not recorded, so that who comes after can take it back.
              expect(now.externalIPs.filter((address) => OURS.includes(address) && !recordedExternalIPs(now).includes(ip(address)))).toEqual([]);
            }
          }
        }
        now = way(now, wanted).at(-1) ?? now;
        check();
        expect(now.externalIPs.filter((address) => OURS.includes(address)).sort()).toEqual([...wanted].sort());
        expect([...recordedExternalIPs(now)].sort()).toEqual([...wanted].sort());
        expect(now.annotations[EXTERNAL_IPS]).not.toBe("");
      }),
      { numRuns: 300, seed: 5 },
    );
    expect(steps).toBeGreaterThan(500);
  });

  test("an entry that the user has too stays when ours is not wanted any more", () => {
    const [, mine] = USERS as [string, string];
    const ends = [[], [mine], OURS].map((wanted) => way(way(service([mine]), [mine, ...wanted]).at(-1) ?? service([]), []).at(-1)?.externalIPs);
    expect(ends).toEqual([[mine], [mine], [mine]]);
  });
});
