// health.mjs PORT CERT KEY STATE: the health answer of an API server on 127.0.0.1, by HTTPS. The file STATE says how it is, at each
// request: `ok` (200), `sick` (500), `hang` (no answer).
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [port = "", cert = "", key = "", state = ""] = process.argv.slice(2);

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) => {
  const now = readFileSync(state, "utf8").trim();
  if (now === "hang") return;
  response.statusCode = now === "ok" ? 200 : 500;
  response.end(now === "ok" ? "ok" : "[-]etcd failed: reason withheld\nlivez check failed\n");
});
server.listen(Number(port), "127.0.0.1", () => console.log("ready"));
