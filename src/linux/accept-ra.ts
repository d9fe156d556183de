import { readFileSync, writeFileSync } from "node:fs";

/** Without IPv6 there is nothing to refuse. */
const NOT_THERE = "ENOENT";

/**
 * Router advertisements count for nothing on this link from now on: no address, no route. False where they do count, for /proc/sys may not be written (in
 * a container without privileges) and netlink cannot say this.
 */
export function refuseRouters(name: string): boolean {
  const file = `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
  try {
    if (readFileSync(file, "utf8").trim() !== "0") writeFileSync(file, "0");
    return true;
  } catch (error) {
    return codeOf(error) === NOT_THERE || !acceptsRouters(name);
  }
}

/** As ipv6_accept_ra of the kernel: 0 never, 1 unless the link forwards, 2 always. */
function acceptsRouters(name: string): boolean {
  try {
    const [accept, forwarding] = ["accept_ra", "forwarding"].map((key) => Number(readFileSync(`/proc/sys/net/ipv6/conf/${name}/${key}`, "utf8")));
    return forwarding === 0 ? accept !== 0 : accept === 2;
  } catch {
    return false; // the link is gone
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
