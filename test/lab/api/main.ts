import { parseArgs } from "node:util";
import { startApi } from "./server.js";

const { values } = parseArgs({
  options: {
    listen: { type: "string", multiple: true, default: ["127.0.0.1:6443"] },
    dir: { type: "string" },
    "bookmark-ms": { type: "string", default: "60000" },
    history: { type: "string", default: "10000" },
  },
});

if (values.dir === undefined) {
  process.stderr.write("usage: api --dir <folder> [--listen host:port]... [--bookmark-ms 60000] [--history 10000]\n");
  process.exit(2);
}

const api = await startApi({ listen: values.listen, dir: values.dir, bookmarkMs: Number(values["bookmark-ms"]), history: Number(values.history) });
// One line tells whoever started it that the files are written and the ports open.
process.stdout.write(`${JSON.stringify({ ready: true, urls: api.urls, adminConf: api.adminConf, tokenConf: api.tokenConf, adminSocket: api.adminSocket })}\n`);

const stop = (): void => {
  void api[Symbol.asyncDispose]().then(() => process.exit(0));
};
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
