// The one import with an effect, and the first of main: Node opens its debugger on SIGUSR1 until somebody listens, and a program that is still being read
// must not do that for who only wants debug lines. What the signal means is told to debugBySignal, once there is a log.
process.on("SIGUSR1", () => undefined);
