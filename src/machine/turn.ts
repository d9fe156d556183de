/** A state and what is to be done on the way to it. */
export interface Turn<S, A> {
  readonly state: S;
  readonly actions: readonly A[];
}

/** Nothing to be done. */
export function just<S>(state: S): Turn<S, never> {
  return { state, actions: [] };
}

/** `next` goes on from the state of `turn`; its actions come after. */
export function after<S, A>(turn: Turn<S, A>, next: (state: S) => Turn<S, A>): Turn<S, A> {
  const { state, actions } = next(turn.state);
  return { state, actions: [...turn.actions, ...actions] };
}
