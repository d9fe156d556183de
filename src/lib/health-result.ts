/** What one look at somebody's health showed. */
export interface HealthResult {
  readonly healthy: boolean;
  /** What was asked and what came back: `GET https://127.0.0.1:6443/livez: 500: [-]etcd failed`. Never a secret. */
  readonly reason: string;
}
