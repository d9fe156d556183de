import type { OwnershipKey, Part } from "../core/model.js";
import type { Fence } from "../core/mode.js";
import type { Plan } from "../core/plan.js";
import type { World } from "../core/world.js";
import type { ApiReach } from "./api-reach.js";
import { seconds } from "./api-reach.js";
import type { KernelTap } from "./kernel-tap.js";

/** A pass of the planning loop that was asked for and has not come within this does not come, ms. */
export const LATE_MS = 5000;
/** So long may the kernel take for one request: somebody may hold the rtnl lock for seconds, ms. */
export const STUCK_MS = 10_000;
/** The kernel removes an address up to 1.1 s after its lifetime; and a lifetime can be prolonged by whole seconds only, ms. */
const GRACE_MS = 2000;

/** What the checks look at. */
export interface HealthView {
  readonly now: number;
  /** How long a pass of the planning loop has been waited for, ms. */
  readonly passWaitMs: number;
  readonly newest: { readonly world: World; readonly plan: Plan } | undefined;
  readonly kernel: Pick<KernelTap, "oldest" | "endsAt">;
  readonly fence: Pick<Fence, "kernelDeadline">;
  readonly api: Pick<ApiReach, "problem">;
  /** What this process serves. */
  readonly parts: readonly Part[];
  /** Whether a key has a Lease of its own here; in BGP mode nobody has to own the control plane. */
  readonly elects: (key: OwnershipKey) => boolean;
  /** The link for VIPs; undefined: that of the default route. */
  readonly iface: string | undefined;
  readonly stopping: boolean;
}

/** One line of /livez or /readyz. `problem`: what is wrong, in words; undefined where nothing is. */
export interface Check {
  readonly name: string;
  readonly problem: string | undefined;
}

/** Whether this process is of any use, or had better be started anew. What only others can put right (the API, a cable) does not count. */
export function livez(view: HealthView): readonly Check[] {
  return [
    { name: "ping", problem: undefined },
    { name: "loop", problem: view.passWaitMs > LATE_MS ? `the planning loop was asked for a pass ${seconds(view.passWaitMs)} ago and has not made it` : undefined },
    { name: "netlink", problem: netlinkProblem(view) },
    { name: "fence", problem: fenceProblem(view) },
  ];
}

/** Whether this node can serve now. */
export function readyz(view: HealthView): readonly Check[] {
  const [, ...live] = livez(view);
  return [
    { name: "ping", problem: undefined },
    ...live,
    { name: "shutdown", problem: view.stopping ? "the program is stopping" : undefined },
    { name: "api", problem: view.api.problem() },
    { name: "links", problem: linkProblem(view) },
    ...view.parts.map((part) => ({ name: part, problem: part === "services" ? servicesProblem(view) : controlPlaneProblem(view) })),
  ];
}

function netlinkProblem({ kernel }: HealthView): string | undefined {
  const oldest = kernel.oldest();
  return oldest !== undefined && oldest.ms > STUCK_MS ? `the kernel has not answered ${oldest.operation} for ${seconds(oldest.ms)}` : undefined;
}

/** A VIP that is held, whose lifetime is over although the ownership would have allowed a longer one. */
function fenceProblem({ now, newest, kernel, fence }: HealthView): string | undefined {
  if (newest === undefined) return undefined;
  const { world, plan } = newest;
  for (const vip of plan.wants.arp.values()) {
    if (world.observed.get(vip.key)?.state !== "up") continue;
    const link = world.links.get(vip.iface);
    const endsAt = link === undefined ? undefined : kernel.endsAt(link.index, vip.address);
    if (endsAt === undefined || now < endsAt + GRACE_MS || fence.kernelDeadline(vip.ownership) < now + GRACE_MS) continue;
    return `the lifetime of ${vip.address} on ${vip.iface} ended ${seconds(now - endsAt)} ago and was not prolonged`;
  }
  return undefined;
}

function linkProblem({ newest, iface }: HealthView): string | undefined {
  if (newest === undefined) return "links have not been read yet";
  const { links, defaultLink } = newest.world;
  const name = iface ?? defaultLink;
  if (name === undefined) return "no link: vip_interface is not set, and there is no default route";
  const link = links.get(name);
  if (link === undefined) return `there is no link ${name}`;
  if (!link.up) return `${name} is down`;
  return link.carrier ? undefined : `${name} has no carrier`;
}

function servicesProblem({ newest }: HealthView): string | undefined {
  if (newest === undefined) return "nothing is known yet";
  const { services, endpoints, pools, ownership } = newest.world;
  const missing = Object.entries({ Services: services, EndpointSlices: endpoints, "addresses for Services": pools }).filter(([, known]) => known === undefined);
  if (missing.length > 0) return `not listed yet: ${missing.map(([name]) => name).join(", ")}`;
  return (ownership.get("services")?.view ?? "unknown") === "unknown" ? "the Lease of the Services has not been seen yet" : undefined;
}

function controlPlaneProblem({ newest, elects }: HealthView): string | undefined {
  const view = newest?.world.ownership.get("control-plane")?.view ?? "unknown";
  if (elects("control-plane") && view === "unknown") return "the Lease of the control plane has not been seen yet";
  return newest?.world.controlPlaneHealth === "sick" ? "this node's api server is sick" : undefined;
}

export interface HealthAnswer {
  readonly status: 200 | 503;
  readonly text: string;
}

/** The answer of `endpoint` in the words of the Kubernetes components; `?verbose` lists what is well, too, `?exclude=name` leaves a check out. */
export function healthAnswer(endpoint: string, checks: readonly Check[], query: URLSearchParams): HealthAnswer {
  const excluded = query.getAll("exclude");
  const bad = checks.some(({ name, problem }) => problem !== undefined && !excluded.includes(name));
  if (!bad && !query.has("verbose")) return { status: 200, text: "ok" };
  const lines = checks.map(({ name, problem }) => {
    if (excluded.includes(name)) return `[+]${name} excluded: ok`;
    return problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`;
  });
  return { status: bad ? 503 : 200, text: `${[...lines, `${endpoint} check ${bad ? "failed" : "passed"}`].join("\n")}\n` };
}
