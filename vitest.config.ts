import { defineConfig } from "vitest/config";

// scripts/test.mjs --full runs only what is too slow for every run.
const full = process.env["VIP_FULL"] === "1";

export default defineConfig({
  test: {
    projects: [
      // The default of 5 s is too little for a property of thousands of cases on a machine that does other things, too. One process takes file after file, for no
      // file keeps anything in its modules: to load them anew for each took more time than the tests.
      { test: { name: "unit", include: ["test/**/*.test.ts"], exclude: ["test/lab/**"], testTimeout: 30_000, isolate: false } },
      {
        // Network namespaces, real peers, the built binary: scripts/test.mjs runs this project inside namespaces of its own.
        test: {
          name: "lab",
          include: [full ? "test/lab/**/*.full.test.ts" : "test/lab/**/*.test.ts"],
          exclude: full ? [] : ["test/lab/**/*.full.test.ts"],
          fileParallelism: false,
          testTimeout: full ? 600_000 : 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
