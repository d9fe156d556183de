import { loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { manifestOf, type ManifestOptions } from "../../src/cli/manifest/manifest.js";
import { rbacOf } from "../../src/cli/manifest/rbac.js";
import { loadSettings } from "../../src/config/load.js";

const SERVICES = { vip_arp: "true", svc_enable: "true" };
const CONTROL_PLANE = { vip_arp: "true", cp_enable: "true", address: "192.0.2.10" };

interface RbacObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly { readonly resources: readonly string[]; readonly resourceNames?: readonly string[]; readonly verbs: readonly string[] }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly name: string; readonly namespace: string }[];
}

function objects(env: Readonly<Record<string, string>>, more: Partial<ManifestOptions> = {}): readonly RbacObject[] {
  return loadAll(manifestOf("rbac", loadSettings({ env }), { input: { env }, version: "1", ...more })) as readonly RbacObject[];
}

/** Lines such as `ClusterRole: patch services/status` and `Role kube-system: get configmaps kubevip`. */
function rights(env: Readonly<Record<string, string>>, more: Partial<ManifestOptions> = {}): readonly string[] {
  return objects(env, more).flatMap(({ kind, metadata, rules = [] }) =>
    rules.map(({ resources, resourceNames = [], verbs }) => `${[kind, ...(metadata.namespace ?? "").split(" ").filter(Boolean)].join(" ")}: ${verbs.join(",")} ${[...resources, ...resourceNames].join(" ")}`),
  );
}

const FOR_SERVICES = ["get,list,watch services", "patch services/status", "get,list,watch endpointslices", "create,get,patch events"];
const LEASES = "Role kube-system: get,list,watch,create,update,delete leases";

describe("the rights that are asked for", () => {
  test("for Services", () => {
    expect(rights(SERVICES)).toEqual([...FOR_SERVICES.map((right) => `ClusterRole: ${right}`), "ClusterRole: get,list,watch nodes", LEASES, "Role kube-system: get,list,watch configmaps kubevip"]);
  });

  test("for the control plane are Leases of one namespace alone", () => {
    expect(rights(CONTROL_PLANE)).toEqual([LEASES.replace(",delete", "")]);
  });

  test("for labels of Nodes are there only with these", () => {
    const more = (env: Readonly<Record<string, string>>): readonly string[] => rights({ ...env, enable_node_labeling: "true" }).filter((right) => !rights(env).includes(right));
    expect(more(SERVICES)).toEqual(["ClusterRole: get,list,watch,patch nodes"]);
    expect(more(CONTROL_PLANE)).toEqual(["ClusterRole: get,list,watch,patch nodes"]);
  });

  test("for Services of one namespace reach no other", () => {
    expect(rights({ ...SERVICES, svc_namespace: "shop" }, { role: true })).toEqual(["ClusterRole: get,list,watch nodes", ...FOR_SERVICES.map((right) => `Role shop: ${right}`), LEASES, "Role kube-system: get,list,watch configmaps kubevip"]);
  });

  test("for BGP name the ConfigMap and the Secret, and reach Nodes only where Services do not already", () => {
    const bgp = (env: Readonly<Record<string, string>>): readonly string[] =>
      rbacOf({ ...loadSettings({ env }).settings, bgp: true }, { romana: false }).flatMap((object) => {
        const { kind, metadata, rules = [] } = object as unknown as RbacObject;
        return rules.map(({ resources, resourceNames = [], verbs }) => `${kind} ${metadata.namespace ?? ""}: ${verbs.join(",")} ${[...resources, ...resourceNames].join(" ")}`);
      });
    const named = ["Role metallb-system: get,list,watch configmaps config", "Role kube-system: get,list,watch secrets bgp"];
    const env = { bgp_configmap: "metallb-system/config", bgp_secret: "bgp" };
    expect(bgp({ ...CONTROL_PLANE, ...env }).slice(1)).toEqual(["ClusterRole : get,list,watch nodes", ...named]);
    expect(bgp({ ...SERVICES, ...env }).filter((right) => /nodes|configmaps config|secrets/.test(right))).toEqual(["ClusterRole : get,list,watch nodes", ...named]);
    expect(bgp({ ...SERVICES }).filter((right) => /secrets|configmaps config/.test(right))).toEqual([]);
  });

  test("for Leases elsewhere name them", () => {
    const env = { ...SERVICES, ...CONTROL_PLANE, vip_leasename: "infra/api", svc_leasename: "infra/svcs", cp_namespace: "vips" };
    expect(rights(env).filter((right) => right.includes("leases"))).toEqual(["Role vips: get,list,watch,create,update,delete leases", "Role infra: get,list,watch,update leases svcs api", "Role infra: create leases"]);
  });

  test("let Services be changed only for Romana VIPs that are led by externalIPs", () => {
    expect(rights(SERVICES, { romana: true })).toContain("ClusterRole: get,list,watch,patch services");
    expect(rights({ ...SERVICES, romana_datapath: "nft" }, { romana: true })).toContain("ClusterRole: get,list,watch services");
  });

  test("are bound to an account in the namespace of the program", () => {
    const all = objects({ ...SERVICES, cp_namespace: "vips", svc_namespace: "shop" });
    const roles = all.filter(({ kind }) => kind.endsWith("Role"));
    const bindings = all.filter(({ kind }) => kind.endsWith("Binding"));
    expect(roles.length).toBe(4);
    expect(bindings.map(({ kind, metadata, roleRef }) => [kind.replace("Binding", ""), metadata.namespace, roleRef?.name])).toEqual(roles.map(({ kind, metadata }) => [kind, metadata.namespace, metadata.name]));
    expect(new Set(bindings.flatMap(({ subjects = [] }) => subjects.map(({ name, namespace }) => `${namespace}/${name}`)))).toEqual(new Set(["vips/vip"]));
    expect(all[0]).toMatchObject({ kind: "ServiceAccount", metadata: { name: "vip", namespace: "vips" } });
  });
});
