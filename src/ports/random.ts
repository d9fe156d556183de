/** Jitter and ids. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
}
