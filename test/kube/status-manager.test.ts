import { expect, it } from "vitest";
import { statusManagerOf } from "../../src/kube/status-manager.js";

const STATUS = { "f:status": { "f:loadBalancer": { "f:ingress": {} } } };
const SPEC = { "f:spec": { "f:type": {} }, "f:status": { "f:conditions": {} } };
const entry = (manager: string | undefined, time: string | undefined, fieldsV1: unknown = STATUS): unknown => ({ manager, operation: "Update", time, fieldsType: "FieldsV1", fieldsV1, subresource: "status" });

it.each([
  { name: "nothing recorded", entries: undefined, want: undefined },
  { name: "no list", entries: {}, want: undefined },
  { name: "writers of other fields", entries: [entry("kubectl", "2026-01-02T03:04:05Z", SPEC)], want: undefined },
  { name: "one writer of the status", entries: [entry("kubectl", "2026-01-02T03:04:06Z", SPEC), entry("k3s", "2026-01-02T03:04:05Z")], want: "k3s" },
  { name: "the newest of two, in any order", entries: [entry("metallb", "2026-01-02T03:04:06Z"), entry("k3s", "2026-01-02T03:04:05Z")], want: "metallb" },
  { name: "times in other zones", entries: [entry("metallb", "2026-01-02T04:00:00+02:00"), entry("k3s", "2026-01-02T03:00:00Z")], want: "k3s" },
  { name: "the later entry of the same second", entries: [entry("a", "2026-01-02T03:04:05Z"), entry("b", "2026-01-02T03:04:05Z")], want: "b" },
  { name: "an entry without a time is older than any", entries: [entry("a", "2026-01-02T03:04:05Z"), entry("b", undefined)], want: "a" },
  { name: "ourselves alone", entries: [entry("vip", "2026-01-02T03:04:05Z")], want: undefined },
  { name: "ourselves before we said a name", entries: [entry("vip (node-1)", "2026-01-02T03:04:05Z")], want: undefined },
  { name: "another one although we wrote later", entries: [entry("servicelb", "2026-01-02T03:04:05Z"), entry("vip", "2026-01-02T03:05:05Z")], want: "servicelb" },
  { name: "a name that begins like ours", entries: [entry("vip-operator", "2026-01-02T03:04:05Z")], want: "vip-operator" },
  { name: "broken entries", entries: [null, 5, {}, entry(undefined, "x"), entry("a", "x", null), entry("b", "x")], want: "b" },
])("finds who owns status.loadBalancer: $name", ({ entries, want }) => {
  expect(statusManagerOf(entries)).toBe(want);
});
