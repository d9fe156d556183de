/** The part of a coordination.k8s.io/v1 Lease that leader election uses (client-go LeaderElectionRecord). */
export interface LeaseRecord {
  /** Empty string: released. */
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  /** MicroTime, RFC 3339 with six digits: `2026-01-02T03:04:05.000006Z`; undefined where the object has none. */
  readonly acquireTime: string | undefined;
  readonly renewTime: string | undefined;
  readonly leaseTransitions: number;
}
