import { familyOf } from "./address.js";
import { asList, asObject, asText, compact } from "./object.js";
import type { Json, JsonObject, KubeObject } from "./object.js";
import { badValue, unsupported } from "./status.js";
import type { Cause } from "./status.js";

const POLICY = "spec.ipFamilyPolicy";

const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);

/** Gives up the second family where an update only turns the policy to SingleStack; an update that is silent on families keeps them. */
export function settleFamilies(next: KubeObject, old: KubeObject): KubeObject {
  const spec = asObject(next["spec"]);
  const before = asObject(old["spec"]);
  if (spec["type"] === "ExternalName" || before["type"] === "ExternalName") return next;
  const silent = spec["ipFamilyPolicy"] === undefined && spec["ipFamilies"] === undefined;
  if (silent) return { ...next, spec: compact({ ...spec, ipFamilyPolicy: before["ipFamilyPolicy"], ipFamilies: before["ipFamilies"] }) };
  if (spec["ipFamilyPolicy"] !== "SingleStack") return next;
  const first = (field: string): Json | undefined => (same(spec[field], before[field]) ? asList(spec[field]).slice(0, 1) : spec[field]);
  return { ...next, spec: compact({ ...spec, clusterIPs: first("clusterIPs"), ipFamilies: first("ipFamilies") }) };
}

/** ipFamilyPolicy, or its default. A headless Service without a selector may have any families: its endpoints are made by hand. */
export function policyOf(spec: JsonObject): string {
  const headless = asList(spec["clusterIPs"])[0] === "None" || spec["clusterIP"] === "None";
  const free = headless && Object.keys(asObject(spec["selector"])).length === 0;
  return asText(spec["ipFamilyPolicy"]) || (free ? "RequireDualStack" : "SingleStack");
}

function familyListCauses(families: readonly string[]): readonly Cause[] {
  const field = "spec.ipFamilies";
  const unknown = families.flatMap((family, index) => (["IPv4", "IPv6"].includes(family) ? [] : [unsupported(`${field}[${index}]`, family, ["IPv4", "IPv6"])]));
  const twice = families.length === 2 && families[0] === families[1] ? [{ reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(families[1])}`, field: `${field}[1]` }] : [];
  return families.length > 2 ? [badValue(field, families, "may only hold up to 2 values")] : [...unknown, ...twice];
}

/** What is wrong with ipFamilyPolicy, ipFamilies and clusterIPs together. */
export function familyCauses(spec: JsonObject, before: JsonObject | undefined): readonly Cause[] {
  const families = asList(spec["ipFamilies"]).map(asText);
  const addresses = asList(spec["clusterIPs"]).map(asText);
  if (spec["type"] === "ExternalName") return [];
  const causes: Cause[] = [...familyListCauses(families)];
  const policy = policyOf(spec);
  const wrong = (what: string): Cause => badValue(POLICY, policy, `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`);
  if (policy === "SingleStack" && addresses.length === 2) causes.push(wrong("cluster IPs"));
  if (policy === "SingleStack" && families.length === 2) causes.push(wrong("IP families"));
  const had = asList(before?.["ipFamilies"]).map(asText);
  if (policy !== "SingleStack" && had.length === 2 && families.length === 1) causes.push(badValue(POLICY, policy, "must be 'SingleStack' to release the secondary IP family"));
  if (had.length > 0 && families.length > 0 && had[0] !== families[0]) causes.push(badValue("spec.ipFamilies[0]", families[0] ?? "", "may not change once set"));
  addresses.forEach((address, index) => {
    const family = families[index];
    if (family !== undefined && address !== "None" && address !== "" && familyOf(address) !== family) causes.push(badValue(`spec.clusterIPs[${index}]`, address, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``));
  });
  return causes;
}
