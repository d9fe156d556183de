import { describe, expect, test } from "vitest";
import { flagsOf } from "../../src/config/load.js";
import { SETTING_ROWS } from "../../src/config/settings.js";
import { UNSUPPORTED } from "../../src/config/unsupported.js";
import { KUBE_VIP_ENV, KUBE_VIP_FLAGS } from "./kube-vip-names.js";

const ENV = [...SETTING_ROWS.flatMap(([, { env }]) => env), ...UNSUPPORTED.flatMap(({ env }) => env)];
const FLAGS = [...SETTING_ROWS.flatMap(([, setting]) => flagsOf(setting)), ...UNSUPPORTED.flatMap(({ flags }) => flags)];

describe("the table of settings", () => {
  test("has every environment variable and every flag of kube-vip", () => {
    expect(KUBE_VIP_ENV.filter((name) => !ENV.includes(name))).toEqual([]);
    expect(KUBE_VIP_FLAGS.filter((name) => !FLAGS.includes(name))).toEqual([]);
    expect([KUBE_VIP_ENV.length, KUBE_VIP_FLAGS.length]).toEqual([106, 84]);
  });

  test("has no name twice", () => {
    expect(ENV.filter((name, at) => ENV.indexOf(name) !== at)).toEqual([]);
    expect(FLAGS.filter((name, at) => FLAGS.indexOf(name) !== at)).toEqual([]);
  });

  test("has a default for each setting that its type accepts, and a text that ends", () => {
    for (const [key, { type, fallback, doc }] of SETTING_ROWS) {
      expect(type.parse(fallback), key).toHaveProperty("value");
      expect(doc, key).toMatch(/^[A-Z`].*\.$/);
    }
  });

  test("says for each setting that is not acted on what becomes of it", () => {
    for (const { env, flags, reason } of UNSUPPORTED) {
      expect(env.length + flags.length).toBeGreaterThan(0);
      expect(reason.length, env[0] ?? flags[0]).toBeGreaterThan(3);
    }
  });
});
