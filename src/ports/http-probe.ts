/** Asks servers of this machine whether they are well. */
export interface HttpProbe {
  /**
   * The status that `GET http://127.0.0.1:<port>/healthz` brings. Rejects where no HTTP answer comes, with the reason as cause; when
   * `signal` aborts, with its reason. There is no time limit but that.
   */
  status(port: number, signal: AbortSignal): Promise<number>;
}
