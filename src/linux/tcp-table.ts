import { readdir, readFile, readlink } from "node:fs/promises";
import { familyOf } from "../lib/ip.js";
import type { TcpEnd } from "../ports/net.js";
import type { OtherConnection, TcpTable } from "../ports/tcp-table.js";
import { decodeTcpSocket, encodeEstablishedDump, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, type TcpSocket } from "../wire/netlink/sock-diag.js";
import type { Native } from "./native.js";
import { dump } from "./netlink-dump.js";

/** The TCP sockets of this network namespace, by sock_diag(7). */
export function createTcpTable({ native }: { readonly native: Native }): TcpTable {
  return {
    others: async (peer, signal) => {
      // A listener of IPv6 takes IPv4, too: its connections are among the IPv6 ones.
      const families = familyOf(peer.address) === 4 ? ([4, 6] as const) : ([6] as const);
      const all: TcpSocket[] = [];
      for (const family of families) {
        const request = { type: SOCK_DIAG_BY_FAMILY, flags: 0, protocol: NETLINK_SOCK_DIAG, payload: () => encodeEstablishedDump(family), tried: `list the TCP sockets of IPv${family}` };
        const messages = await dump(native, request, signal);
        all.push(...messages.map(({ payload }) => decodeTcpSocket(payload)));
      }
      const found: OtherConnection[] = [];
      for (const { local, remote, inode } of othersOf(all, peer, await inodesOf("self"))) found.push({ local, remote, process: await ownerOf(inode, signal) });
      return found;
    },
  };
}

/** Those with the peer that are not of `own`, and not the other end of one of `own` either: with a peer on this node both ends are listed. */
export function othersOf(all: readonly TcpSocket[], peer: TcpEnd, own: ReadonlySet<number>): readonly TcpSocket[] {
  const ours = new Set(all.filter(({ inode }) => own.has(inode)).map(({ local, remote }) => `${textOf(remote)} ${textOf(local)}`));
  const withPeer = ({ local, remote }: TcpSocket): boolean => remote.address === peer.address && (remote.port === peer.port || local.port === peer.port);
  return all.filter((socket) => withPeer(socket) && !own.has(socket.inode) && !ours.has(`${textOf(socket.local)} ${textOf(socket.remote)}`));
}

function textOf({ address, port }: TcpEnd): string {
  return `${address} ${port}`;
}

/** Sockets that a process has open; empty where that cannot be seen. */
async function inodesOf(pid: string): Promise<ReadonlySet<number>> {
  const inodes = new Set<number>();
  for (const fd of await entries(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(Number(inode));
    } catch {
      // Closed meanwhile.
    }
  }
  return inodes;
}

/** The process that has the socket, of those that can be seen. There may be thousands: one after the other, and off the loop. */
async function ownerOf(inode: number, signal: AbortSignal): Promise<string | undefined> {
  for (const pid of (await entries("/proc")).filter((name) => /^\d+$/.test(name))) {
    signal.throwIfAborted();
    if ((await inodesOf(pid)).has(inode)) return nameOf(pid);
  }
  return undefined;
}

async function nameOf(pid: string): Promise<string | undefined> {
  try {
    return `${(await readFile(`/proc/${pid}/comm`, "utf8")).trim()} (${pid})`;
  } catch {
    // Ended meanwhile.
    return undefined;
  }
}

async function entries(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch {
    // Of another user, or gone.
    return [];
  }
}
