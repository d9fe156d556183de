import { dlopen, getCurrentEventLoop, getInt32, getRawPointer, type DynamicLibrary } from "node:ffi";
import { close, read, write } from "node:fs";

/** Readiness of one file descriptor on the event loop. */
export interface Poll {
  /** No callback after this. Resolves when the descriptor may be closed; calling it again is fine. */
  stop(): Promise<void>;
}

/** Where recvmsg(2) writes to. Each on a buffer of its own outside of V8's heap: `new Uint8Array(new ArrayBuffer(n))`. */
export interface MessageBuffers {
  /** The sockaddr of the sender. */
  readonly name: Uint8Array;
  readonly data: Uint8Array;
  /** Control messages: a cmsghdr and its data each. */
  readonly control: Uint8Array;
}

/** How much of each was written. */
export interface MessageLengths {
  readonly name: number;
  readonly data: number;
  readonly control: number;
}

/**
 * The system calls that Node has no API for. Results are as of the kernel: zero or more, or the negative errno. Small enough that a native addon
 * could stand in for it.
 */
export interface Native {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  /** Of a datagram socket: sets the peer, and waits for nothing. */
  connect(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  /** accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC: the new descriptor. */
  accept(fd: number): number;
  /** Blocks where the kernel does: a netlink request waits for the rtnl lock in here, so that goes through `writeOffLoop`. */
  send(fd: number, bytes: Uint8Array, flags: number): number;
  /** Of a datagram socket without a peer. */
  sendTo(fd: number, bytes: Uint8Array, to: { readonly address: Uint8Array; readonly flags: number }): number;
  recv(fd: number, buffer: Uint8Array, flags: number): number;
  /** recvmsg(2). The lengths, or the negative errno. */
  receiveMessage(fd: number, into: MessageBuffers, flags: number): MessageLengths | number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** SO_ATTACH_FILTER with a classic BPF program, 8 octets for each instruction. */
  attachFilter(fd: number, program: Uint8Array): number;
  close(fd: number): number;
  /** close(2) on a thread of libuv's pool, one after the other: for a packet socket the kernel waits until nobody looks at it any more, some 20 ms. */
  closeOffLoop(fd: number): Promise<void>;
  /** Calls `onReadable` while there is something to read, an error of the socket included. A throw in it is an uncaught exception. */
  poll(fd: number, onReadable: () => void): Poll;
  /** write(2) on a thread of libuv's pool: the loop goes on while it blocks. */
  writeOffLoop(fd: number, bytes: Uint8Array): Promise<number>;
  /** read(2) on a thread of libuv's pool. */
  readOffLoop(fd: number, buffer: Uint8Array): Promise<number>;
  /** The calling thread goes before all that have no such priority (1 to 99): SCHED_RR, which what it starts does not inherit. Needs CAP_SYS_NICE. */
  realtime(priority: number): number;
}

const UV_POLL = 8; // uv_handle_type
const UV_READABLE = 1;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** SOCK_NONBLOCK and SOCK_CLOEXEC. */
const ACCEPT_FLAGS = 0x8_0800;

/** SCHED_RR and SCHED_RESET_ON_FORK. */
const SCHEDULER = 0x4000_0002;

const MSGHDR_LENGTH = 56;

const INT = "int32";
const POINTER = "pointer";
const BUFFER = "buffer";
const SIZE = "uint64";

const SYMBOLS = {
  socket: { arguments: [INT, INT, INT], return: INT },
  bind: { arguments: [INT, BUFFER, INT], return: INT },
  connect: { arguments: [INT, BUFFER, INT], return: INT },
  listen: { arguments: [INT, INT], return: INT },
  accept4: { arguments: [INT, POINTER, POINTER, INT], return: INT },
  send: { arguments: [INT, BUFFER, SIZE, INT], return: "int64" },
  sendto: { arguments: [INT, BUFFER, SIZE, INT, BUFFER, INT], return: "int64" },
  recv: { arguments: [INT, BUFFER, SIZE, INT], return: "int64" },
  recvmsg: { arguments: [INT, BUFFER, INT], return: "int64" },
  setsockopt: { arguments: [INT, INT, INT, BUFFER, INT], return: INT },
  getsockopt: { arguments: [INT, INT, INT, BUFFER, BUFFER], return: INT },
  close: { arguments: [INT], return: INT },
  sched_setscheduler: { arguments: [INT, INT, BUFFER], return: INT },
  calloc: { arguments: [SIZE, SIZE], return: POINTER },
  free: { arguments: [POINTER], return: "void" },
  __errno_location: { arguments: [], return: POINTER },
  uv_handle_size: { arguments: [INT], return: SIZE },
  uv_poll_init: { arguments: [POINTER, POINTER, INT], return: INT },
  uv_poll_start: { arguments: [POINTER, INT, POINTER], return: INT },
  uv_close: { arguments: [POINTER, POINTER], return: "void" },
} as const;

type Functions = ReturnType<typeof dlopen<typeof SYMBOLS>>["functions"];

/** Binds libc and Node's own libuv. The library is never closed: that would invalidate callbacks that libuv still holds. */
export function createNative(): Native {
  const { functions, lib } = dlopen(null, SYMBOLS);
  const errnoAt = functions.__errno_location();
  // One at a time: the other threads of the pool are for what is urgent.
  let closing = Promise.resolve();
  const result = (value: number): number => (value < 0 ? -getInt32(errnoAt, 0) : value);
  const setsockopt = (fd: number, level: number, option: number, value: Uint8Array): number =>
    result(functions.setsockopt(fd, level, option, value, value.length));
  return {
    socket: (domain, type, protocol) => result(functions.socket(domain, type, protocol)),
    bind: (fd, address) => result(functions.bind(fd, address, address.length)),
    connect: (fd, address) => result(functions.connect(fd, address, address.length)),
    listen: (fd, backlog) => result(functions.listen(fd, backlog)),
    accept: (fd) => result(functions.accept4(fd, null, null, ACCEPT_FLAGS)),
    send: (fd, bytes, flags) => result(Number(functions.send(fd, bytes, BigInt(bytes.length), flags))),
    sendTo: (fd, bytes, { address, flags }) => result(Number(functions.sendto(fd, bytes, BigInt(bytes.length), flags, address, address.length))),
    recv: (fd, buffer, flags) => result(Number(functions.recv(fd, buffer, BigInt(buffer.length), flags))),
    receiveMessage: (fd, into, flags) => {
      const header = messageHeader(into);
      const length = result(Number(functions.recvmsg(fd, header, flags)));
      return length < 0 ? length : writtenLengths(header, length);
    },
    setsockopt,
    getsockopt: (fd, level, option, value) => result(functions.getsockopt(fd, level, option, value, Uint32Array.of(value.length))),
    attachFilter: (fd, program) => setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(program)),
    close: (fd) => result(functions.close(fd)),
    closeOffLoop: async (fd) => (closing = closing.then(async () => new Promise<void>((resolve) => close(fd, () => resolve())))),
    poll: (fd, onReadable) => startPoll({ functions, lib }, fd, onReadable),
    writeOffLoop: async (fd, bytes) => new Promise((resolve) => write(fd, bytes, (error, written) => resolve(resultOf(error, written)))),
    readOffLoop: async (fd, buffer) =>
      new Promise((resolve) => read(fd, buffer, 0, buffer.length, null, (error, length) => resolve(resultOf(error, length)))),
    // On Linux 0 is the thread, not the process; struct sched_param has one number.
    realtime: (priority) => result(functions.sched_setscheduler(0, SCHEDULER, new Uint8Array(Int32Array.of(priority).buffer))),
  };
}

/** struct sock_fprog. `program` must live on its own until the call that uses this is over. */
function filterProgram(program: Uint8Array): Uint8Array {
  const value = new DataView(new ArrayBuffer(16));
  value.setUint16(0, program.length / 8, true);
  value.setBigUint64(8, getRawPointer(program), true);
  return new Uint8Array(value.buffer);
}

/** struct msghdr with one struct iovec behind it. What it points to must live on its own until the call that uses this is over. */
function messageHeader({ name, data, control }: MessageBuffers): Uint8Array {
  const buffer = new ArrayBuffer(MSGHDR_LENGTH + 16);
  const header = new Uint8Array(buffer);
  const view = new DataView(buffer);
  view.setBigUint64(0, getRawPointer(name), true);
  view.setUint32(8, name.length, true);
  view.setBigUint64(16, getRawPointer(header) + BigInt(MSGHDR_LENGTH), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, getRawPointer(control), true);
  view.setBigUint64(40, BigInt(control.length), true);
  view.setBigUint64(MSGHDR_LENGTH, getRawPointer(data), true);
  view.setBigUint64(MSGHDR_LENGTH + 8, BigInt(data.length), true);
  return header;
}

function writtenLengths(header: Uint8Array, data: number): MessageLengths {
  const view = new DataView(header.buffer);
  return { name: view.getUint32(8, true), data, control: Number(view.getBigUint64(40, true)) };
}

// libuv's error numbers are negative errnos on Linux.
function resultOf(error: NodeJS.ErrnoException | null, count: number): number {
  return error === null ? count : (error.errno ?? -5);
}

function startPoll(library: { functions: Functions; lib: DynamicLibrary }, fd: number, onReadable: () => void): Poll {
  const { functions, lib } = library;
  const handle = functions.calloc(1n, functions.uv_handle_size(UV_POLL));
  const initialised = functions.uv_poll_init(getCurrentEventLoop(), handle, fd);
  if (initialised < 0) {
    functions.free(handle);
    throw new Error(`uv_poll_init: errno ${-initialised}`);
  }
  let stopped: Promise<void> | undefined;
  const onPoll = lib.registerCallback({ arguments: [POINTER, INT, INT], return: "void" }, (_handle, status) => {
    if (stopped !== undefined) return;
    try {
      onReadable();
    } catch (error) {
      // A throw must not cross into C.
      setImmediate(() => {
        throw error;
      });
    }
    // libuv stops a poll on EPOLLERR (lost events, a link that went down). Reading took the error off the socket, so go on.
    if (status < 0 && stopped === undefined) functions.uv_poll_start(handle, UV_READABLE, onPoll);
    // The callback comes from C without MakeCallback: promises and ticks run only after something else does, which this is.
    setImmediate(() => {});
  });
  const onClosed = lib.registerCallback({ arguments: [POINTER], return: "void" }, () => closed());
  let closed = (): void => {};
  functions.uv_poll_start(handle, UV_READABLE, onPoll);

  const end = async (): Promise<void> =>
    new Promise((resolve) => {
      closed = () =>
        // A callback must not be unregistered while it runs.
        setImmediate(() => {
          functions.free(handle);
          lib.unregisterCallback(onPoll);
          lib.unregisterCallback(onClosed);
          resolve();
        });
      functions.uv_close(handle, onClosed);
    });
  return { stop: async () => (stopped ??= end()) };
}
